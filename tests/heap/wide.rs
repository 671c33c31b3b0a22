//! A message of sixty texts.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Wide {
    #[prost(string, optional, tag = "1")]
    text_1: Option<String>,
    #[prost(string, optional, tag = "2")]
    text_2: Option<String>,
    #[prost(string, optional, tag = "3")]
    text_3: Option<String>,
    #[prost(string, optional, tag = "4")]
    text_4: Option<String>,
    #[prost(string, optional, tag = "5")]
    text_5: Option<String>,
    #[prost(string, optional, tag = "6")]
    text_6: Option<String>,
    #[prost(string, optional, tag = "7")]
    text_7: Option<String>,
    #[prost(string, optional, tag = "8")]
    text_8: Option<String>,
    #[prost(string, optional, tag = "9")]
    text_9: Option<String>,
    #[prost(string, optional, tag = "10")]
    text_10: Option<String>,
    #[prost(string, optional, tag = "11")]
    text_11: Option<String>,
    #[prost(string, optional, tag = "12")]
    text_12: Option<String>,
    #[prost(string, optional, tag = "13")]
    text_13: Option<String>,
    #[prost(string, optional, tag = "14")]
    text_14: Option<String>,
    #[prost(string, optional, tag = "15")]
    text_15: Option<String>,
    #[prost(string, optional, tag = "16")]
    text_16: Option<String>,
    #[prost(string, optional, tag = "17")]
    text_17: Option<String>,
    #[prost(string, optional, tag = "18")]
    text_18: Option<String>,
    #[prost(string, optional, tag = "19")]
    text_19: Option<String>,
    #[prost(string, optional, tag = "20")]
    text_20: Option<String>,
    #[prost(string, optional, tag = "21")]
    text_21: Option<String>,
    #[prost(string, optional, tag = "22")]
    text_22: Option<String>,
    #[prost(string, optional, tag = "23")]
    text_23: Option<String>,
    #[prost(string, optional, tag = "24")]
    text_24: Option<String>,
    #[prost(string, optional, tag = "25")]
    text_25: Option<String>,
    #[prost(string, optional, tag = "26")]
    text_26: Option<String>,
    #[prost(string, optional, tag = "27")]
    text_27: Option<String>,
    #[prost(string, optional, tag = "28")]
    text_28: Option<String>,
    #[prost(string, optional, tag = "29")]
    text_29: Option<String>,
    #[prost(string, optional, tag = "30")]
    text_30: Option<String>,
    #[prost(string, optional, tag = "31")]
    text_31: Option<String>,
    #[prost(string, optional, tag = "32")]
    text_32: Option<String>,
    #[prost(string, optional, tag = "33")]
    text_33: Option<String>,
    #[prost(string, optional, tag = "34")]
    text_34: Option<String>,
    #[prost(string, optional, tag = "35")]
    text_35: Option<String>,
    #[prost(string, optional, tag = "36")]
    text_36: Option<String>,
    #[prost(string, optional, tag = "37")]
    text_37: Option<String>,
    #[prost(string, optional, tag = "38")]
    text_38: Option<String>,
    #[prost(string, optional, tag = "39")]
    text_39: Option<String>,
    #[prost(string, optional, tag = "40")]
    text_40: Option<String>,
    #[prost(string, optional, tag = "41")]
    text_41: Option<String>,
    #[prost(string, optional, tag = "42")]
    text_42: Option<String>,
    #[prost(string, optional, tag = "43")]
    text_43: Option<String>,
    #[prost(string, optional, tag = "44")]
    text_44: Option<String>,
    #[prost(string, optional, tag = "45")]
    text_45: Option<String>,
    #[prost(string, optional, tag = "46")]
    text_46: Option<String>,
    #[prost(string, optional, tag = "47")]
    text_47: Option<String>,
    #[prost(string, optional, tag = "48")]
    text_48: Option<String>,
    #[prost(string, optional, tag = "49")]
    text_49: Option<String>,
    #[prost(string, optional, tag = "50")]
    text_50: Option<String>,
    #[prost(string, optional, tag = "51")]
    text_51: Option<String>,
    #[prost(string, optional, tag = "52")]
    text_52: Option<String>,
    #[prost(string, optional, tag = "53")]
    text_53: Option<String>,
    #[prost(string, optional, tag = "54")]
    text_54: Option<String>,
    #[prost(string, optional, tag = "55")]
    text_55: Option<String>,
    #[prost(string, optional, tag = "56")]
    text_56: Option<String>,
    #[prost(string, optional, tag = "57")]
    text_57: Option<String>,
    #[prost(string, optional, tag = "58")]
    text_58: Option<String>,
    #[prost(string, optional, tag = "59")]
    text_59: Option<String>,
    #[prost(string, optional, tag = "60")]
    text_60: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Wides {
    #[prost(message, repeated, tag = "1")]
    pub(crate) wides: Vec<Wide>,
}
