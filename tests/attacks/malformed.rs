//! Conversations that are none, or would be but for a byte: the inputs of the fuzz target
//! `server_bytes`, and what chance makes of them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use crate::attacker::{Attacker, Over};
use crate::chance::Chance;
use crate::mutants::{inputs, mutate};
use crate::support::PREFACE;
use crate::{Attack, Cost};

pub fn attacks() -> Vec<Attack> {
    vec![Attack {
        prepare: read_inputs,
        ..Attack::new("malformed", Cost::Malformed, &["left"], |attacker| {
            Box::pin(malformed(attacker))
        })
    }]
}

static INPUTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(inputs);
static CONVERSATIONS: AtomicU64 = AtomicU64::new(0);

fn read_inputs() {
    LazyLock::force(&INPUTS);
}

/// How long the server may take with one of them.
const SOON: Duration = Duration::from_secs(5);

/// Says one of them, and nothing more.
async fn malformed(attacker: &mut Attacker) -> Result<(), Over> {
    let number = CONVERSATIONS.fetch_add(1, Ordering::Relaxed);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1));
    let mut input = chance.of(&INPUTS).clone();
    for _ in 0..chance.below(5) {
        mutate(&mut input, &INPUTS, &mut chance);
    }
    let said = [PREFACE, input.get(1..).unwrap_or_default()].concat();
    let end = async {
        attacker.send(&said).await?;
        attacker.say_no_more().await;
        attacker.listen().await
    };
    match timeout(SOON, end).await {
        Ok(Err(Over::Closed)) => Ok(()),
        Ok(Err(Over::Time)) | Err(_) => Err(Over::Time),
        Ok(Ok(never)) => match never {},
    }
}
