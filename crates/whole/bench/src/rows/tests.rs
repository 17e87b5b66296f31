//! Which rows run.

use super::{ROWS, choose};

#[test]
fn ids_choose_rows_in_the_order_of_the_table() {
    let choose = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        choose(&ids).map(|rows| rows.iter().map(|row| row.id).collect::<Vec<_>>())
    };
    assert_eq!(choose(&["f4", "A1"]), Ok(vec!["A1", "F4"]));
    assert_eq!(choose(&["P2"]), Ok(vec!["P1"]));
    assert_eq!(choose(&["A8"]), Ok(vec!["A8"]));
    assert_eq!(choose(&["Z9"]), Err("there is no row Z9; --list shows all".to_owned()));
    let quick: Vec<&str> = ROWS.iter().filter(|row| row.quick).map(|row| row.id).collect();
    assert_eq!(choose(&[]), Ok(quick));
}
