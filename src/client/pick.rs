//! Interim: one address.

use std::sync::{Mutex, PoisonError};

use crate::transport::client_connection::ClientConnection;
use crate::transport::connect::{Address, Connector};
use crate::wire::{Metadata, MethodPath, RequestHeaders, Status};

pub(crate) struct CallInfo<'a> {
    pub(crate) path: &'a MethodPath,
    pub(crate) metadata: &'a Metadata,
}

impl<'a> CallInfo<'a> {
    pub(crate) fn of(headers: &'a RequestHeaders) -> Self {
        Self {
            path: &headers.path,
            metadata: &headers.metadata,
        }
    }
}

pub(crate) struct Picked {
    pub(crate) connection: ClientConnection,
}

pub(crate) struct Pool {
    connector: Connector,
    address: Address,
    current: Mutex<Option<ClientConnection>>,
    connecting: tokio::sync::Mutex<()>,
    last: Mutex<Option<Status>>,
}

impl Pool {
    pub(crate) fn new(connector: Connector, address: Address) -> Self {
        Self {
            connector,
            address,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(crate) fn try_pick(&self, _: &CallInfo<'_>) -> Option<Picked> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = current.clone().filter(ClientConnection::is_accepting)?;
        Some(Picked { connection })
    }

    pub(crate) async fn pick(&self, _: bool, info: &CallInfo<'_>) -> Result<Picked, Status> {
        let _turn = self.connecting.lock().await;
        if let Some(picked) = self.try_pick(info) {
            return Ok(picked);
        }
        let timeout = std::time::Duration::from_secs(20);
        match self.connector.connect(&self.address, timeout).await {
            Ok(connection) => {
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(connection.clone());
                Ok(Picked { connection })
            }
            Err(error) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_status());
                Err(error.to_status())
            }
        }
    }

    pub(crate) fn last_error(&self) -> Option<Status> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
