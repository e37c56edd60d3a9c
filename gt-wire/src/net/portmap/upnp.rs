//! The older way (UPnP, InternetGatewayDevice): routers are found by calling
//! into the local net, describe themselves, and are told by SOAP.

use std::net::SocketAddr;
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, PortMappingProtocol, SearchOptions};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Error, Mapped, PATIENCE, Protocol};

/// What people see in their router's list.
const NAME: &str = "gittorrent";

/// How long a mapping holds, in seconds.
const LEASE: u32 = 3600;

/// Looks for a router in the whole local net, or at one address, and asks it
/// to lead a port to `local`: the same port, or another where that is taken.
///
/// # Errors
/// See [`Error`]. It takes 15 seconds at most.
pub async fn map_by_upnp(
    at: Option<SocketAddr>,
    local: SocketAddr,
    protocol: Protocol,
) -> Result<Mapped, Error> {
    if local.port() == 0 {
        return Err(Error::Port);
    }
    let protocol = match protocol {
        Protocol::Tcp => PortMappingProtocol::TCP,
        Protocol::Udp => PortMappingProtocol::UDP,
    };
    let refused = |why: &dyn std::fmt::Display| Error::Refused(why.to_string());
    let asked = async {
        let mut search = SearchOptions::default();
        if let Some(at) = at {
            search.broadcast_address = at;
            // Whoever names it answers for it, be it on this machine.
            search.allowed_gateway_ips.push(at.ip());
        }
        let router = search_gateway(search).await;
        let router = router.map_err(|why| refused(&why))?;
        let (external, lease) = match add(&router, protocol, local.port(), local).await {
            Ok(lease) => (local.port(), lease),
            Err(AddPortError::PortInUse) => {
                let any = router.add_any_port(protocol, local, LEASE, NAME).await;
                (any.map_err(|why| refused(&why))?, LEASE)
            }
            Err(why) => return Err(refused(&why)),
        };
        Ok((router, external, lease))
    };
    let asked = timeout(PATIENCE, asked).await;
    let (router, external, lease) = asked.map_err(|_| Error::Silent(PATIENCE))??;
    let (stop, mut stopped) = oneshot::channel();
    let renewal = tokio::spawn(async move {
        loop {
            let half = Duration::from_secs(u64::from(LEASE / 2));
            tokio::select! {
                () = sleep(half) => {
                    // One for ever is asked for again too: routers restart.
                    let again = router.add_port(protocol, external, local, lease, NAME);
                    let _ = timeout(PATIENCE, again).await;
                }
                _ = &mut stopped => {
                    let _ = router.remove_port(protocol, external).await;
                    return;
                }
            }
        }
    });
    Ok(Mapped {
        external,
        by: "UPnP",
        stop: Some(stop),
        renewal,
    })
}

/// Asks for a mapping that ends by itself, or where the router knows only
/// those for ever, for one of these; returns the lease in seconds, 0 for ever.
async fn add(
    router: &Gateway<Tokio>,
    protocol: PortMappingProtocol,
    external: u16,
    local: SocketAddr,
) -> Result<u32, AddPortError> {
    let lease = router
        .add_port(protocol, external, local, LEASE, NAME)
        .await;
    match lease {
        Err(AddPortError::OnlyPermanentLeasesSupported) => {
            router.add_port(protocol, external, local, 0, NAME).await?;
            Ok(0)
        }
        lease => lease.map(|()| LEASE),
    }
}
