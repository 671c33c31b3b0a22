//! `number_stream.NumberService`

use barewire::Channel;
use barewire::tutorial::proto::number_stream::{NumberRequest, NumberServiceClient};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    Case::on_each(Line::TO_THREADS, get_numbers).collect()
}

async fn get_numbers(channel: Channel) {
    let numbers = NumberServiceClient::new(channel);
    for limit in [10, 1, 0, -1, i32::MIN, 2000] {
        let mut inbound = numbers.get_numbers(NumberRequest { limit }).await.unwrap();
        let mut heard = Vec::new();
        while let Some(response) = inbound.next().await.unwrap() {
            heard.push(response.number);
        }
        assert_eq!(heard, (0..limit).collect::<Vec<_>>(), "limit {limit}");
    }
}
