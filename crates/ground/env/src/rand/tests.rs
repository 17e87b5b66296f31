//! The form of what is random.

use super::uuid;

#[test]
fn a_uuid_is_random_and_of_version_4() {
    let made = uuid();
    let parts: Vec<usize> = made.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{made}");
    let is_digit = |letter: char| matches!(letter, '0'..='9' | 'a'..='f' | '-');
    assert!(made.chars().all(is_digit), "{made}");
    assert_eq!(&made[14..15], "4", "{made}");
    assert!(["8", "9", "a", "b"].contains(&&made[19..20]), "{made}");
    assert_ne!(made, uuid());
}
