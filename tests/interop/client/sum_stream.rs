//! `sum_stream.SumService`

use barewire::tutorial::proto::sum_stream::{NumberRequest, SumServiceClient};
use barewire::{Channel, Code, Origin, Status};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_THREADS, calculate_sum));
    cases.extend(Case::on_each(&[Line::Plain], of_many_numbers));
    cases.extend(Case::on_each(&[Line::Plain], overflow_is_out_of_range));
    cases
}

async fn sum_of(channel: &Channel, numbers: impl IntoIterator<Item = i32>) -> Result<i32, Status> {
    let sums = SumServiceClient::new(channel.clone());
    let (mut outbound, inbound) = sums.calculate_sum(()).await?;
    for number in numbers {
        outbound.send(NumberRequest { number }).await?;
    }
    outbound.finish()?;
    Ok(inbound.single().await?.message.sum)
}

async fn calculate_sum(channel: Channel) {
    assert_eq!(sum_of(&channel, [1, 2, 3, 4]).await, Ok(10));
    assert_eq!(sum_of(&channel, []).await, Ok(0));
    assert_eq!(sum_of(&channel, [i32::MAX, i32::MIN, -7]).await, Ok(-8));
}

async fn of_many_numbers(channel: Channel) {
    assert_eq!(sum_of(&channel, 0..20_000).await, Ok(199_990_000));
}

async fn overflow_is_out_of_range(channel: Channel) {
    let status = sum_of(&channel, [i32::MAX, 1]).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::OutOfRange, Origin::Peer)
    );
    assert_eq!(status.message, "the sum 2147483648 is not within int32");
}
