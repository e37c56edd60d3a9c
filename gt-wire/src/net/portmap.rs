//! Asking a router to let others in: PCP (RFC 6887), else NAT-PMP (RFC 6886),
//! by the `crab_nat` crate, else UPnP's internet gateway, by `igd-next`.
//! Nothing asks unless somebody calls this.

mod route;
mod upnp;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub use upnp::map_by_upnp;

/// How long a router may take for everything together.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long it may keep us from asking in another way.
const FIRST: Duration = Duration::from_secs(4);

/// How long the end of a mapping may take.
const END: Duration = Duration::from_secs(3);

/// The shortest time between two renewals.
const LEAST: Duration = Duration::from_secs(60);

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, by which most peers come.
    Tcp,
    /// UDP, by which uTP comes (BEP 29).
    Udp,
}

/// A port of the router's that leads to ours, renewed until this is dropped;
/// the router forgets it by itself, or at once by [`end`](Self::end).
#[derive(Debug)]
pub struct Mapped {
    /// The router's port.
    pub external: u16,
    /// By what it was asked for.
    pub by: &'static str,
    stop: Option<oneshot::Sender<()>>,
    renewal: JoinHandle<()>,
}

impl Mapped {
    /// Takes the mapping back, which takes a bounded time. Some routers never
    /// forget one by themselves.
    pub async fn end(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(END, &mut self.renewal).await;
    }
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

/// Finds the router and asks it to lead a port to `local`, where we listen, in
/// each way that it may understand.
///
/// # Errors
/// See [`Error`]; that of the last way. It takes half a minute at most.
pub async fn open(local: SocketAddr, protocol: Protocol) -> Result<Mapped, Error> {
    if local.port() == 0 {
        return Err(Error::Port);
    }
    let router = route::router();
    let own = SocketAddr::new(own_address(local.ip(), router), local.port());
    if let Some(router) = router
        && let Ok(Ok(mapped)) = timeout(FIRST, map(router.into(), own, protocol)).await
    {
        return Ok(mapped);
    }
    map_by_upnp(None, own, protocol).await
}

/// Returns the address that the router knows us by: the one we listen at, or
/// where we listen everywhere the one from which its net is reached.
fn own_address(listens: IpAddr, router: Option<Ipv4Addr>) -> IpAddr {
    if !listens.is_unspecified() {
        return listens;
    }
    // Nothing is sent: the kernel chooses an address for a route.
    let towards = router.unwrap_or(Ipv4Addr::new(192, 0, 2, 1));
    let chosen = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((towards, 9))?;
        socket.local_addr()
    });
    chosen.map_or(listens, |addr| addr.ip())
}

/// Asks the router at `gateway` by PCP or NAT-PMP to lead a port to `local`,
/// where we listen: the same port, if it is free.
///
/// # Errors
/// See [`Error`]. It takes 15 seconds at most.
pub async fn map(gateway: IpAddr, local: SocketAddr, protocol: Protocol) -> Result<Mapped, Error> {
    let port = NonZeroU16::new(local.port()).ok_or(Error::Port)?;
    let gateway = match gateway {
        IpAddr::V4(ip) => GatewayAddress::IpV4(ip),
        IpAddr::V6(ip) => GatewayAddress::IpV6(ip, None),
    };
    let protocol = match protocol {
        Protocol::Tcp => InternetProtocol::Tcp,
        Protocol::Udp => InternetProtocol::Udp,
    };
    let options = PortMappingOptions {
        external_port: Some(port),
        ..PortMappingOptions::default()
    };
    let asked = PortMapping::new(gateway, local.ip(), protocol, port, options);
    let mapping = timeout(PATIENCE, asked).await;
    let mapping = mapping.map_err(|_| Error::Silent(PATIENCE))?;
    let mut mapping = mapping.map_err(|why| Error::Refused(why.to_string()))?;
    let external = mapping.external_port().get();
    let (stop, mut stopped) = oneshot::channel();
    let renewal = tokio::spawn(async move {
        loop {
            let half = Duration::from_secs(u64::from(mapping.lifetime()) / 2);
            tokio::select! {
                () = sleep(half.max(LEAST)) => {
                    // A router that was switched off answers again later.
                    let _ = timeout(PATIENCE, mapping.renew()).await;
                }
                _ = &mut stopped => {
                    let _ = mapping.try_drop().await;
                    return;
                }
            }
        }
    });
    Ok(Mapped {
        external,
        by: "PCP or NAT-PMP",
        stop: Some(stop),
        renewal,
    })
}
