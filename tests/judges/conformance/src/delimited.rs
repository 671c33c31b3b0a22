//! Messages on standard input and output.
//!
//! ```text
//!  bytes 0..4         bytes 4..4+length
//!  +-----------------+  +-------------+
//!  | length, u32, BE |  | message     |
//!  +-----------------+  +-------------+
//! ```

use std::io::{self, Write};

use prost::Message;
use tokio::io::{AsyncReadExt, Stdin};

/// The next message on standard input; `None` at its end.
pub(crate) async fn read_message<M: Message + Default>(input: &mut Stdin) -> io::Result<Option<M>> {
    let length = match input.read_u32().await {
        Ok(length) => usize::try_from(length).map_err(invalid)?,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).await?;
    M::decode(bytes.as_slice()).map(Some).map_err(invalid)
}

/// Writes a message to standard output, as a whole, whoever else writes there.
pub(crate) fn write_message(message: &impl Message) -> io::Result<()> {
    let body = message.encode_to_vec();
    let length = u32::try_from(body.len()).map_err(invalid)?;
    let mut output = io::stdout().lock();
    output.write_all(&length.to_be_bytes())?;
    output.write_all(&body)?;
    output.flush()
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
