//! `client::random`.

use crate::inside::random::Random;

#[test]
fn the_numbers_are_those_of_splitmix64() {
    let random = Random::seeded(1_234_567);
    let numbers: Vec<u64> = (0..5).map(|_| random.next()).collect();
    // As published with the algorithm.
    let expected = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    assert_eq!(numbers, expected);
}

#[test]
fn two_generators_differ() {
    assert_ne!(Random::new().next(), Random::new().next());
}

#[test]
fn what_is_below_a_limit_is_spread_evenly() {
    let random = Random::seeded(1);
    let mut counts = [0; 7];
    for _ in 0..70_000 {
        counts[random.below(7)] += 1;
    }
    assert!(
        counts.iter().all(|count| (9_500..10_500).contains(count)),
        "{counts:?}"
    );
    assert_eq!(random.below(0), 0);
    assert_eq!(random.below(1), 0);
}

#[test]
fn what_is_between_stays_between_and_comes_near_both_ends() {
    let random = Random::seeded(2);
    let numbers: Vec<f64> = (0..10_000).map(|_| random.between(0.8, 1.2)).collect();
    assert!(numbers.iter().all(|number| (0.8..1.2).contains(number)));
    assert!(numbers.iter().any(|number| *number < 0.801));
    assert!(numbers.iter().any(|number| *number > 1.199));
}

#[test]
fn each_order_comes_as_often_as_the_others() {
    let random = Random::seeded(3);
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..60_000 {
        let mut items = ['a', 'b', 'c'];
        random.shuffle(&mut items);
        *counts.entry(items).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(
        counts.values().all(|count| (9_500..10_500).contains(count)),
        "{counts:?}"
    );
    random.shuffle::<u8>(&mut []);
}
