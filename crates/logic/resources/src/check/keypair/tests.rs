//! Pairs and what are none. The fixtures were made with OpenSSL for these tests and guard nothing.

use super::*;

const EC_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUUu0JYZ9GKmwszUjZil51XQtOwSUwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjkwMjQ0NDlaGA8yMTI2MTEwNTAyNDQ0OVow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIq61dcXFcDy
3X6e18uyDFJn2UBDyVr+E51gfy5U5ZeDKc4Y9QutMwBJ2HtbWSHG7T7b0Cf36vwS
RD3jPcldj/6jUzBRMB0GA1UdDgQWBBTVU/VmKFLp+q7y4fwYyBhnB5J0MDAfBgNV
HSMEGDAWgBTVU/VmKFLp+q7y4fwYyBhnB5J0MDAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIAvr4TAwNUg/gA+wixJYzst5pMGs5YKkSvO2MjXvihhp
AiEA2IhsxKJR0s+bkHqa9AbcGgev9qtVm//e2zFQ+WMpQu0=
-----END CERTIFICATE-----";
const EC_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPIils+TwkK4O39O1
kqGezhggw0N47A+94SbZRU+uz7OhRANCAASKutXXFxXA8t1+ntfLsgxSZ9lAQ8la
/hOdYH8uVOWXgynOGPULrTMASdh7W1khxu0+29An9+r8EkQ94z3JXY/+
-----END PRIVATE KEY-----";
const EC_KEY_SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIDyIpbPk8JCuDt/TtZKhns4YIMNDeOwPveEm2UVPrs+zoAoGCCqGSM49
AwEHoUQDQgAEirrV1xcVwPLdfp7Xy7IMUmfZQEPJWv4TnWB/LlTll4Mpzhj1C60z
AEnYe1tZIcbtPtvQJ/fq/BJEPeM9yV2P/g==
-----END EC PRIVATE KEY-----";
const OTHER_EC_KEY: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHCoy+lq4723/a3oFveYYYxdkfc11ViVCmjlIkHJr58doAoGCCqGSM49
AwEHoUQDQgAEGp1U7qhQseLAY8FbVzA5BJDUm9UAHp6INppAimHz0LRADqKRT9iT
oDwMUYq1lOGfYfc6C/13KUfyo0bhjR+a7w==
-----END EC PRIVATE KEY-----";
const RSA_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIB9jCCAV+gAwIBAgIULbyMOFaRJhC0TKJ1LQO0yQ+abKAwDQYJKoZIhvcNAQEL
BQAwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjkwMjQ0NDlaGA8yMTI2MTEwNTAyNDQ0
OVowDDEKMAgGA1UEAwwBYTCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEA8YqQ
+Os7sPpTIzkJ3YUL/npVRdp4SKURRwvW6as73nBffmRDA/OoowFXLYRzeKHIGiDN
v7rv0ijfQ21WUtwejdwr2nEDdYXQN5n3RLcl1xFTiC5LOVwbt1cpWvHGTuS3An+R
CFmz3wi48eQdVsTVL2beYcko51W5n2DdVp7YV88CAwEAAaNTMFEwHQYDVR0OBBYE
FOTVRigpz2vr17X1iRvqb2l/CWUJMB8GA1UdIwQYMBaAFOTVRigpz2vr17X1iRvq
b2l/CWUJMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEAaUqtmTny
HrF8k2Y1RdV+As4ONO9HXQf+BARC4OOKcIdHkg68VewPaa4yw5GWJlIH9qXbkBbX
e7ZRIxzlZeuW4eob/vXWvmvXSbngA2Lz74Ki0G4EK8JMuS0OGzykOFLz2dZs5Krk
pcPpgvGpswfZ8EcnHT1+68v+jZCljX7j2fg=
-----END CERTIFICATE-----";
const RSA_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAPGKkPjrO7D6UyM5
Cd2FC/56VUXaeEilEUcL1umrO95wX35kQwPzqKMBVy2Ec3ihyBogzb+679Io30Nt
VlLcHo3cK9pxA3WF0DeZ90S3JdcRU4guSzlcG7dXKVrxxk7ktwJ/kQhZs98IuPHk
HVbE1S9m3mHJKOdVuZ9g3Vae2FfPAgMBAAECgYEAxCR08136fA3bI1g3NabMBZuL
0YzGbp90t0/a9qexl0GDmlyKuxPLVotJItJS/pvJpcYLrm18QBomq1eHaQQM3iv/
CLSOgKOFIHP4ZRy2Etfd/YSIxytQkN3g3N4lHzf8CFeN0Q8OwWz0VJo0TmHobF3d
nnW6Qlo3oFNPWVreZjECQQD+E0GiVYL4JoeUiDO2rR96xXlH3cx/TPIphw/afuqU
OolhJcP6kPq62M7bUanqK67un9tYgKieDtt6H0nIL+nnAkEA818Ah32czfzKaP5d
frKz6c7LJPNRIDYIRnEpefegIU9uvrZX7lNkUU+vcKLhhW8WwcPeyNsKn9FP/guL
v3f12QJAUGLJTlIdyONv3AenzPFDV3WpJJrBO7mdmJP56RhkoZdPpePr+JfsLDey
YuOYjdVaWHdNT9gNAU0UFbRWhLbcGwJAIpR9HsNaZGpm2ERMRJRfu/kGJFnuTQVg
Z6HsosfsmM8QjUibdeGjf2ozI24BXVRLh3ytSxzUhaDYHODHGo2RAQJBAO5Wntnj
oDanyOWKuU/lRpwPN1NCHdNtJphnSBU9AUOeN797zal8IGz7i0rGipgr5ZMfObSE
pjMaXUPWs6DZWc4=
-----END PRIVATE KEY-----";
const RSA_KEY_PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDxipD46zuw+lMjOQndhQv+elVF2nhIpRFHC9bpqzvecF9+ZEMD
86ijAVcthHN4ocgaIM2/uu/SKN9DbVZS3B6N3CvacQN1hdA3mfdEtyXXEVOILks5
XBu3Vyla8cZO5LcCf5EIWbPfCLjx5B1WxNUvZt5hySjnVbmfYN1WnthXzwIDAQAB
AoGBAMQkdPNd+nwN2yNYNzWmzAWbi9GMxm6fdLdP2vansZdBg5pcirsTy1aLSSLS
Uv6byaXGC65tfEAaJqtXh2kEDN4r/wi0joCjhSBz+GUcthLX3f2EiMcrUJDd4Nze
JR83/AhXjdEPDsFs9FSaNE5h6Gxd3Z51ukJaN6BTT1la3mYxAkEA/hNBolWC+CaH
lIgztq0fesV5R93Mf0zyKYcP2n7qlDqJYSXD+pD6utjO21Gp6iuu7p/bWICong7b
eh9JyC/p5wJBAPNfAId9nM38ymj+XX6ys+nOyyTzUSA2CEZxKXn3oCFPbr62V+5T
ZFFPr3Ci4YVvFsHD3sjbCp/RT/4Li7939dkCQFBiyU5SHcjjb9wHp8zxQ1d1qSSa
wTu5nZiT+ekYZKGXT6Xj6/iX7Cw3smLjmI3VWlh3TU/YDQFNFBW0VoS23BsCQCKU
fR7DWmRqZthETESUX7v5BiRZ7k0FYGeh7KLH7JjPEI1Im3Xho39qMyNuAV1US4d8
rUsc1IWg2BzgxxqNkQECQQDuVp7Z46A2p8jlirlP5UacDzdTQh3TbSaYZ0gVPQFD
nje/e82pfCBs+4tKxoqYK+WTHzm0hKYzGl1D1rOg2VnO
-----END RSA PRIVATE KEY-----";
const OTHER_RSA_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXAIBAAKBgQC6hiBgbKcsTdTHGrpmvqhC4ioebizsEA4/bFihnqWDE2pc4iNO
tRBd0r+XlH8Xm9DurdlSKUd+iakvAfpNQJxkOig+QVrHl1DA8KW6ARIj/oCMEgZ+
hWXT7XzoAESjcIGdl7nrWU9U4c2yV59XqT3uiMWSa8TJg9m0i5Q+SHpNaQIDAQAB
AoGAYFKrnZ/+pM58t2WCJVUIJ6IMBjL3V+DiurYE/1GiP5JjNxxBB4BRt2ICNxEk
oNiCiP+WXuuaVCpbCD+JNyPKnsXvJocW4Hg+deKIViSbSywQzQmhVknc91uurtIx
8N/uDUhZtIcFVarm2SHp2HmqGTfJC8Q0lgGpUThD9w+hYEECQQDhDlA0Dnn3IvOr
5BKyuaE4xhzAeVxu8aON58+9mB8ToweaM2HaPrAlM3wGRBf9nhwX5nXnNKzwlRsX
g019CfIVAkEA1CuJITI5uT1G7B5S8aEJih+LKpff8/9USGu3GautSR7ALhCHvGk6
r55TqSsfc3LmTh62wX8ueFhGS+/n14IHBQJANzO2kn42hlrpX/EqcPI9TFqztLZP
6NqWXnlMqFmGzd9APx95UfnsZMOTGUpchBXjGC2sH9D41m4MXiETwabN3QJBAL3i
PLb9+VVEdx3IwdjIk/4O3wD+rYr0f1zVMiiCUfK3160iVCiWUNRtsVgcZOhw85cE
u/EOvusrrbY2flqMX3UCQB4OyEHyxYEdyutAobXh9x36loI1vhyjtPpD4t69Wq8n
rXl/FMGKUksPVhcpc5iqPvfJq4woUIuALgOv05ebsdA=
-----END RSA PRIVATE KEY-----";
const ED_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBLjCB4aADAgECAhQv8IUtf2TzktQ+W0Iq4lI1k1SogDAFBgMrZXAwDDEKMAgG
A1UEAwwBYTAgFw0yNjExMjkwMjQ0NDlaGA8yMTI2MTEwNTAyNDQ0OVowDDEKMAgG
A1UEAwwBYTAqMAUGAytlcAMhAJc0rKlTmlF6DR1lUKV5iqMBjcW3aSXuY29mH6fv
b3QXo1MwUTAdBgNVHQ4EFgQUiNHoWssg3dHFp08fkwLgv8OWaLgwHwYDVR0jBBgw
FoAUiNHoWssg3dHFp08fkwLgv8OWaLgwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD
QQBQKhYA62t9+4Gwo/CBHwDA39cosFcF0QJWpI9nJG/v/7jbmQSY1IoAwwRLZeU6
gcWb37senE3domGS8/QQTTgM
-----END CERTIFICATE-----";
const ED_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICjw6uhJAUsW/2rQaBK99GXSBPhnb7vgQbvFRQTZfWpt
-----END PRIVATE KEY-----";

#[test]
fn a_certificate_and_a_key_make_a_pair_or_not() {
    let junk = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
    let empty = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let junk_key = "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n";
    let no_base64 = "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
    let both = format!("{EC_KEY}\n{EC_CERTIFICATE}");
    let parameters =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{EC_KEY_SEC1}");
    let (mismatch, other_type) =
        ("tls: private key does not match public key", "tls: private key type does not match public key type");
    let cases = [
        (EC_CERTIFICATE, EC_KEY, ""),
        (EC_CERTIFICATE, EC_KEY_SEC1, ""),
        (EC_CERTIFICATE, &parameters, ""),
        (&both, &both, ""),
        (RSA_CERTIFICATE, RSA_KEY, ""),
        (RSA_CERTIFICATE, RSA_KEY_PKCS1, ""),
        (ED_CERTIFICATE, ED_KEY, ""),
        (EC_CERTIFICATE, OTHER_EC_KEY, mismatch),
        (RSA_CERTIFICATE, OTHER_RSA_KEY, mismatch),
        (EC_CERTIFICATE, RSA_KEY, other_type),
        (RSA_CERTIFICATE, EC_KEY, other_type),
        (ED_CERTIFICATE, EC_KEY, other_type),
        (EC_CERTIFICATE, junk_key, "tls: failed to parse private key"),
        (junk, EC_KEY, "x509: malformed certificate"),
        (empty, EC_KEY, "x509: malformed tbs certificate"),
        ("", EC_KEY, "tls: failed to find any PEM data in certificate input"),
        (no_base64, EC_KEY, "tls: failed to find any PEM data in certificate input"),
        (EC_CERTIFICATE, "", "tls: failed to find any PEM data in key input"),
        (
            EC_KEY,
            EC_CERTIFICATE,
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have \
             been switched",
        ),
        (EC_CERTIFICATE, EC_CERTIFICATE, "tls: found a certificate rather than a key in the PEM for the private key"),
    ];
    for (at, (certificate, key, expected)) in cases.into_iter().enumerate() {
        assert_eq!(problem(certificate, key).unwrap_or_default(), expected, "case {at}");
    }
}

#[test]
fn what_is_cut_short_or_turned_is_no_panic() {
    let mut bytes = blocks(RSA_KEY).remove(0).bytes;
    bytes.extend(blocks(EC_CERTIFICATE).remove(0).bytes);
    for end in 0..bytes.len() {
        let _ = (certified(&bytes[..end]), private(&bytes[..end]));
        let turned: Vec<u8> = bytes[end..].iter().map(|byte| byte ^ 0x21).collect();
        let _ = (certified(&turned), private(&turned), certified(&bytes[end..]), private(&bytes[end..]));
    }
}
