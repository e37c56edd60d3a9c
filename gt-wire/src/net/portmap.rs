//! Asking a router to let others in: PCP (RFC 6887), else NAT-PMP (RFC 6886),
//! by the `crab_nat` crate. Nothing asks unless somebody calls this.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long a router may take for everything together.
const PATIENCE: Duration = Duration::from_secs(15);

/// The shortest time between two renewals.
const LEAST: Duration = Duration::from_secs(60);

/// A port of the router's that leads to ours, renewed until this is dropped;
/// the router forgets it by itself.
#[derive(Debug)]
pub struct Mapped {
    /// The router's port.
    pub external: u16,
    renewal: AbortHandle,
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to map.
    #[error("expected a port where we listen, got 0")]
    Port,
    /// The router said no, or speaks neither protocol.
    #[error("the router maps no port: {0}")]
    Refused(String),
    /// The router said nothing.
    #[error("the router did not answer within {0:?}")]
    Silent(Duration),
}

/// Asks the router at `gateway` to lead a TCP port to `local`, where we
/// listen: the same port, if it is free.
///
/// # Errors
/// See [`Error`]. It takes 15 seconds at most.
pub async fn map(gateway: IpAddr, local: SocketAddr) -> Result<Mapped, Error> {
    let port = NonZeroU16::new(local.port()).ok_or(Error::Port)?;
    let gateway = match gateway {
        IpAddr::V4(ip) => GatewayAddress::IpV4(ip),
        IpAddr::V6(ip) => GatewayAddress::IpV6(ip, None),
    };
    let options = PortMappingOptions {
        external_port: Some(port),
        ..PortMappingOptions::default()
    };
    let asked = PortMapping::new(gateway, local.ip(), InternetProtocol::Tcp, port, options);
    let mapping = timeout(PATIENCE, asked).await;
    let mapping = mapping.map_err(|_| Error::Silent(PATIENCE))?;
    let mut mapping = mapping.map_err(|why| Error::Refused(why.to_string()))?;
    let external = mapping.external_port().get();
    let renewal = tokio::spawn(async move {
        loop {
            let half = Duration::from_secs(u64::from(mapping.lifetime()) / 2);
            sleep(half.max(LEAST)).await;
            // A router that was switched off answers again later.
            let _ = timeout(PATIENCE, mapping.renew()).await;
        }
    });
    Ok(Mapped {
        external,
        renewal: renewal.abort_handle(),
    })
}
