//! Messages such as services have.

use std::collections::{BTreeMap, HashMap};

use prost::Message;

use crate::wide::{Wide, Wides};
use crate::{LEAST, alone, heap_of, report};

#[test]
#[rustfmt::skip]
fn an_estimate_is_at_least_half_of_what_is_allocated() {
    let _alone = alone();
    let random = &mut Random(0x2545_f491_4f6c_dd1d);
    println!("{:<42} {:>8} {:>9} {:>9}", "shape", "bytes", "estimate", "heap");
    let shares = [
        share("names", &lists(random, 200, |list, random| list.texts.push(random.text(12)))),
        share("texts of a letter", &lists(random, 2_000, |list, random| list.texts.push(random.text(1)))),
        share("a text of 64 KiB", &lists(random, 1, |list, random| list.texts.push(random.text(65_536)))),
        share("hashes", &lists(random, 200, |list, random| list.pieces.push(random.bytes(32)))),
        share("a blob of 64 KiB", &lists(random, 1, |list, random| list.pieces.push(random.bytes(65_536)))),
        share("points", &Points { points: random.list(500, Random::point) }),
        share("points of doubles", &Places { places: random.list(500, Random::place) }),
        share("packed, below 100", &lists(random, 2_000, |list, random| list.packed.push(random.below(100)))),
        share("packed, up to a million", &lists(random, 2_000, |list, random| list.packed.push(random.below(1_000_000)))),
        share("packed, negative", &lists(random, 2_000, |list, random| list.packed.push(u64::MAX - random.below(100)))),
        share("packed doubles", &lists(random, 2_000, |list, random| list.doubles.push(random.double()))),
        share("unpacked, below 100", &lists(random, 2_000, |list, random| list.unpacked.push(random.below(100)))),
        share("unpacked, up to a million", &lists(random, 2_000, |list, random| list.unpacked.push(random.below(1_000_000)))),
        share("unpacked doubles", &lists(random, 2_000, |list, random| list.unpacked_doubles.push(random.double()))),
        share("enums", &lists(random, 2_000, |list, random| list.kinds.push(random.below(3) as i32))),
        share("bools, unpacked", &lists(random, 2_000, |list, random| list.flags.push(random.below(2) == 1))),
        share("lists of points in a list", &Tracks {
            tracks: random.list(50, |random| Points { points: random.list(7, Random::point) }),
        }),
        share("lists of one in lists of one", &Tracks {
            tracks: random.list(300, |random| Points { points: random.list(1, Random::point) }),
        }),
        share("orders", &Orders { orders: random.list(100, Random::order) }),
        share("texts by text", &random.texts_by_text(300)),
        share("orders by number", &OrderByNumber {
            map: (0..300).map(|_| (random.next(), random.order())).collect(),
        }),
        share("maps of one in a list", &Labels { labelled: random.list(300, |random| random.texts_by_text(1)) }),
        share("maps of maps", &MapsByText {
            maps: (0..30).map(|_| (random.text(8), random.texts_by_text(10))).collect(),
        }),
        share("one of several", &Events { events: random.list(300, Random::event) }),
        share("groups", &Groups { groups: random.list(300, Random::group) }),
        share("empty groups", &Groups { groups: vec![Group::default(); 600] }),
        share("wrapped values", &Wrapped { rows: random.list(200, Random::row) }),
        share("google.protobuf.Struct", &random.json(4)),
        share("google.protobuf.Any", &Anys { anys: random.list(100, Random::any) }),
        share("google.protobuf.Timestamp", &Times { times: random.list(300, Random::timestamp) }),
        share("a tree", &random.tree(7)),
        share("chains of 90", &Chains { chains: random.list(20, |random| random.chain(90)) }),
        share("sixty texts each", &Wides { wides: random.list(20, |random| random.wide(60)) }),
        share("sixty texts each, twelve of them there", &Wides { wides: random.list(100, |random| random.wide(12)) }),
        // The largest types for which it holds.
        share("empty, of 160 bytes", &Larges { larges: vec![Large::default(); 1_025] }),
        share("empty, of 160 bytes, in lists of one", &LargeLists { lists: vec![Larges::of_one(); 300] }),
        share("empty, of 160 bytes, in six lists of one", &Sixes { sixes: vec![Six::of_ones(); 100] }),
        share("empty, of 128 bytes, in a map", &large_by_number(450)),
        share("empty, of 128 bytes, in maps of 113", &LargeMaps { maps: vec![large_by_number(113); 4] }),
        share("empty, of 128 bytes, in maps of one", &LargeMaps { maps: vec![large_by_number(1); 300] }),
        share("empty, of 32 bytes, in ordered maps of one", &Values { values: vec![Value::of_struct(); 300] }),
    ];
    let low: Vec<_> = shares.iter().filter(|(_, share)| *share < LEAST).collect();
    assert!(low.is_empty(), "{low:?}");
}

/// The part that the estimate is of what `message` allocates, its name before it.
fn share<'a, M: Message + Default>(name: &'a str, message: &M) -> (&'a str, f64) {
    let bytes = message.encode_to_vec();
    (name, report(name, &bytes, heap_of::<M>(&bytes)))
}

fn lists(random: &mut Random, count: usize, add: impl Fn(&mut Lists, &mut Random)) -> Lists {
    let mut lists = Lists::default();
    for _ in 0..count {
        add(&mut lists, random);
    }
    lists
}

#[derive(Clone, PartialEq, Message)]
struct Lists {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pieces: Vec<Vec<u8>>,
    #[prost(uint64, repeated, tag = "3")]
    packed: Vec<u64>,
    #[prost(double, repeated, tag = "4")]
    doubles: Vec<f64>,
    #[prost(uint64, repeated, packed = "false", tag = "5")]
    unpacked: Vec<u64>,
    #[prost(double, repeated, packed = "false", tag = "6")]
    unpacked_doubles: Vec<f64>,
    #[prost(enumeration = "Kind", repeated, tag = "7")]
    kinds: Vec<i32>,
    #[prost(bool, repeated, packed = "false", tag = "8")]
    flags: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Unknown = 0,
    Known = 1,
    Other = 2,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(int32, tag = "1")]
    latitude: i32,
    #[prost(int32, tag = "2")]
    longitude: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Points {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Tracks {
    #[prost(message, repeated, tag = "1")]
    tracks: Vec<Points>,
}

#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(double, tag = "1")]
    latitude: f64,
    #[prost(double, tag = "2")]
    longitude: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Places {
    #[prost(message, repeated, tag = "1")]
    places: Vec<Place>,
}

#[derive(Clone, PartialEq, Message)]
struct Order {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(string, tag = "2")]
    customer: String,
    #[prost(message, repeated, tag = "3")]
    items: Vec<Item>,
    #[prost(enumeration = "Kind", tag = "4")]
    kind: i32,
    #[prost(message, optional, tag = "5")]
    placed: Option<Timestamp>,
    #[prost(string, repeated, tag = "6")]
    notes: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    article: String,
    #[prost(int32, tag = "2")]
    count: i32,
    #[prost(int32, tag = "3")]
    price: i32,
    #[prost(int32, tag = "4")]
    discount: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Orders {
    #[prost(message, repeated, tag = "1")]
    orders: Vec<Order>,
}

#[derive(Clone, PartialEq, Message)]
struct TextByText {
    #[prost(map = "string, string", tag = "1")]
    map: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct OrderByNumber {
    #[prost(map = "uint64, message", tag = "1")]
    map: HashMap<u64, Order>,
}

#[derive(Clone, PartialEq, Message)]
struct Labels {
    #[prost(message, repeated, tag = "1")]
    labelled: Vec<TextByText>,
}

#[derive(Clone, PartialEq, Message)]
struct MapsByText {
    #[prost(map = "string, message", tag = "1")]
    maps: HashMap<String, TextByText>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(int64, tag = "2")]
    Number(i64),
    #[prost(message, tag = "3")]
    Item(Item),
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(oneof = "What", tags = "1, 2, 3")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Message)]
struct Events {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(int32, tag = "1")]
    number: i32,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct Groups {
    #[prost(group, repeated, tag = "1")]
    groups: Vec<Group>,
}

/// `google.protobuf.StringValue` and the like are what prost makes of them: the values themselves.
#[derive(Clone, PartialEq, Message)]
struct Row {
    #[prost(message, optional, tag = "1")]
    text: Option<String>,
    #[prost(message, optional, tag = "2")]
    number: Option<i64>,
    #[prost(message, optional, tag = "3")]
    flag: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Wrapped {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "JsonKind", tags = "2, 3, 5, 6")]
    kind: Option<JsonKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum JsonKind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(Values),
}

#[derive(Clone, PartialEq, Message)]
struct Values {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Anys {
    #[prost(message, repeated, tag = "1")]
    anys: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Times {
    #[prost(message, repeated, tag = "1")]
    times: Vec<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Tree {
    #[prost(message, optional, boxed, tag = "1")]
    left: Option<Box<Self>>,
    #[prost(message, optional, boxed, tag = "2")]
    right: Option<Box<Self>>,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Chain {
    #[prost(message, repeated, tag = "1")]
    next: Vec<Self>,
    #[prost(int32, tag = "2")]
    number: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Chains {
    #[prost(message, repeated, tag = "1")]
    chains: Vec<Chain>,
}

/// One element is as large as it is taken to be.
#[derive(Clone, PartialEq, Message)]
struct Large {
    #[prost(message, optional, tag = "1")]
    smaller: Option<Smaller>,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(fixed64, tag = "3")]
    number: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Smaller {
    #[prost(fixed64, tag = "1")]
    a: u64,
    #[prost(string, tag = "2")]
    b: String,
    #[prost(string, tag = "3")]
    c: String,
    #[prost(string, tag = "4")]
    d: String,
    #[prost(string, tag = "5")]
    e: String,
    #[prost(string, tag = "6")]
    f: String,
}

#[derive(Clone, PartialEq, Message)]
struct Larges {
    #[prost(message, repeated, tag = "1")]
    larges: Vec<Large>,
}

#[derive(Clone, PartialEq, Message)]
struct LargeLists {
    #[prost(message, repeated, tag = "1")]
    lists: Vec<Larges>,
}

#[derive(Clone, PartialEq, Message)]
struct Six {
    #[prost(message, repeated, tag = "1")]
    a: Vec<Large>,
    #[prost(message, repeated, tag = "2")]
    b: Vec<Large>,
    #[prost(message, repeated, tag = "3")]
    c: Vec<Large>,
    #[prost(message, repeated, tag = "4")]
    d: Vec<Large>,
    #[prost(message, repeated, tag = "5")]
    e: Vec<Large>,
    #[prost(message, repeated, tag = "6")]
    f: Vec<Large>,
}

#[derive(Clone, PartialEq, Message)]
struct Sixes {
    #[prost(message, repeated, tag = "1")]
    sixes: Vec<Six>,
}

#[derive(Clone, PartialEq, Message)]
struct LargeByNumber {
    #[prost(map = "uint64, message", tag = "1")]
    map: HashMap<u64, Smaller>,
}

#[derive(Clone, PartialEq, Message)]
struct LargeMaps {
    #[prost(message, repeated, tag = "1")]
    maps: Vec<LargeByNumber>,
}

#[test]
fn elements_are_as_large_as_they_are_said_to_be() {
    assert_eq!(size_of::<Large>(), 160);
    assert_eq!(size_of::<(u64, Smaller)>(), 136);
    assert_eq!(size_of::<(String, Value)>(), 56);
}

impl Larges {
    fn of_one() -> Self {
        Self {
            larges: vec![Large::default()],
        }
    }
}

impl Six {
    fn of_ones() -> Self {
        let one = || vec![Large::default()];
        Self {
            a: one(),
            b: one(),
            c: one(),
            d: one(),
            e: one(),
            f: one(),
        }
    }
}

impl Value {
    fn of_struct() -> Self {
        let fields = [(String::new(), Self::default())].into();
        Self {
            kind: Some(JsonKind::Struct(Struct { fields })),
        }
    }
}

fn large_by_number(count: u64) -> LargeByNumber {
    LargeByNumber {
        map: (0..count)
            .map(|number| (number, Smaller::default()))
            .collect(),
    }
}

/// Values that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    fn list<T>(&mut self, count: usize, each: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..count).map(|_| each(self)).collect()
    }

    fn text(&mut self, length: usize) -> String {
        let letters = b"etaoin shrdlu cmfwyp vbgkjq xz ETAOIN.,";
        (0..length)
            .map(|_| char::from(letters[self.below(letters.len() as u64) as usize]))
            .collect()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.list(length, |random| random.below(256) as u8)
    }

    fn double(&mut self) -> f64 {
        self.below(1 << 40) as f64 / 1_234_567.0
    }

    fn point(&mut self) -> Point {
        Point {
            latitude: 400_000_000 + self.below(10_000_000) as i32,
            longitude: -740_000_000 - self.below(10_000_000) as i32,
        }
    }

    fn place(&mut self) -> Place {
        Place {
            latitude: self.double(),
            longitude: self.double(),
        }
    }

    fn texts_by_text(&mut self, count: usize) -> TextByText {
        TextByText {
            map: (0..count).map(|_| (self.text(10), self.text(20))).collect(),
        }
    }

    fn group(&mut self) -> Group {
        Group {
            number: self.below(100) as i32,
            text: self.text(4),
        }
    }

    fn row(&mut self) -> Row {
        Row {
            text: Some(self.text(6)),
            number: Some(self.below(1_000) as i64),
            flag: None,
        }
    }

    fn any(&mut self) -> Any {
        Any {
            type_url: "type.googleapis.com/test.Point".into(),
            value: self.point().encode_to_vec(),
        }
    }

    fn timestamp(&mut self) -> Timestamp {
        Timestamp {
            seconds: 1_700_000_000 + self.below(1_000_000) as i64,
            nanos: self.below(1_000_000_000) as i32,
        }
    }

    fn order(&mut self) -> Order {
        Order {
            number: self.below(1_000_000),
            customer: self.text(15),
            items: self.list(3, |random| Item {
                article: random.text(10),
                count: random.below(10) as i32,
                price: random.below(10_000) as i32,
                discount: random.below(20) as i32,
            }),
            kind: 1,
            placed: Some(Timestamp {
                seconds: 1_700_000_000,
                nanos: 0,
            }),
            notes: vec![self.text(30)],
        }
    }

    fn event(&mut self) -> Event {
        let what = match self.below(3) {
            0 => What::Text(self.text(12)),
            1 => What::Number(self.below(1_000) as i64),
            _ => What::Item(Item {
                article: self.text(10),
                count: self.below(10) as i32,
                ..Item::default()
            }),
        };
        Event { what: Some(what) }
    }

    fn json(&mut self, depth: u32) -> Struct {
        let fields = (0..6).map(|number| {
            let kind = match number {
                0 | 1 if depth > 0 => JsonKind::Struct(self.json(depth - 1)),
                2 => JsonKind::List(Values {
                    values: self.list(4, |random| Value {
                        kind: Some(JsonKind::Number(random.below(1_000) as f64)),
                    }),
                }),
                3 => JsonKind::Number(self.double()),
                _ => JsonKind::Text(self.text(10)),
            };
            (self.text(8), Value { kind: Some(kind) })
        });
        Struct {
            fields: fields.collect(),
        }
    }

    fn tree(&mut self, depth: u32) -> Tree {
        let mut below = || (depth > 0).then(|| Box::new(self.tree(depth - 1)));
        let (left, right) = (below(), below());
        Tree {
            left,
            right,
            name: self.text(6),
        }
    }

    /// With so many of its texts.
    fn wide(&mut self, count: u32) -> Wide {
        let mut bytes = Vec::new();
        for number in 0..count {
            prost::encoding::string::encode(1 + number * 60 / count, &self.text(5), &mut bytes);
        }
        Wide::decode(&bytes[..]).unwrap()
    }

    fn chain(&mut self, length: usize) -> Chain {
        let mut chain = Chain::default();
        for _ in 0..length {
            chain = Chain {
                number: self.below(100) as i32,
                next: vec![chain],
            };
        }
        chain
    }
}
