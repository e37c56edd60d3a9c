//! Routers of the test's own: one speaks PCP (RFC 6887), the other UPnP.

use gt_wire::net::portmap::{self, Error, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use super::*;

/// Answers one request: result 0 is yes, with another port than was asked for.
async fn router(at: &str, result: u8) -> tokio::task::JoinHandle<u16> {
    let socket = UdpSocket::bind((at, 5351)).await.unwrap();
    tokio::spawn(async move {
        let mut asked = [0; 1100];
        let (length, from) = socket.recv_from(&mut asked).await.unwrap();
        assert!(length >= 60 && asked[..2] == [2, 1], "{:?}", &asked[..2]);
        let internal = u16::from_be_bytes([asked[40], asked[41]]);
        let mut answer = [0; 60];
        answer[..4].copy_from_slice(&[2, 0x81, 0, result]);
        answer[4..8].copy_from_slice(&7200u32.to_be_bytes());
        // The nonce, the protocol and the port as they were asked for.
        answer[24..42].copy_from_slice(&asked[24..42]);
        answer[42..44].copy_from_slice(&54_321u16.to_be_bytes());
        answer[44..60].copy_from_slice(&asked[44..60]);
        socket.send_to(&answer, from).await.unwrap();
        internal
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_leads_in() {
    let asked = router("127.0.0.77", 0).await;
    let local: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let mapped = portmap::map("127.0.0.77".parse().unwrap(), local, Protocol::Tcp).await;
    assert_eq!(mapped.unwrap().external, 54_321);
    assert_eq!(asked.await.unwrap(), 6881);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_says_no() {
    // Not authorised.
    router("127.0.0.78", 2).await;
    let local: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let refused = portmap::map("127.0.0.78".parse().unwrap(), local, Protocol::Tcp).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    let nowhere = portmap::map(
        "127.0.0.78".parse().unwrap(),
        "127.0.0.1:0".parse().unwrap(),
        Protocol::Tcp,
    );
    assert!(matches!(nowhere.await, Err(Error::Port)));
}

const DESCRIPTION: &str = "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\"><device>\
    <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList><device>\
    <deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>\
    <deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>\
    <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
    <controlURL>/control</controlURL><SCPDURL>/scpd.xml</SCPDURL></service></serviceList>\
    </device></deviceList></device></deviceList></device></root>";

/// What the router can do: each action with its arguments.
fn actions() -> String {
    let action = |name: &str, words: &[&str]| {
        let words = words.iter().map(|word| {
            format!("<argument><name>{word}</name><direction>in</direction></argument>")
        });
        let words: String = words.collect();
        format!("<action><name>{name}</name><argumentList>{words}</argumentList></action>")
    };
    let whole = ["NewRemoteHost", "NewExternalPort", "NewProtocol"];
    let more = [
        "NewInternalPort",
        "NewInternalClient",
        "NewEnabled",
        "NewPortMappingDescription",
        "NewLeaseDuration",
    ];
    format!(
        "<?xml version=\"1.0\"?><scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><actionList>{}{}</actionList></scpd>",
        action("AddPortMapping", &[&whole[..], &more[..]].concat()),
        action("DeletePortMapping", &whole)
    )
}

/// A router that knows mappings for ever only, and tells what it was asked.
async fn gateway() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = web.local_addr().unwrap();
    let door = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let searched = door.local_addr().unwrap();
    tokio::spawn(async move {
        let mut asked = [0; 2000];
        while let Ok((_, from)) = door.recv_from(&mut asked).await {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
                 LOCATION: http://{at}/root.xml\r\n\r\n"
            );
            let _ = door.send_to(answer.as_bytes(), from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = web.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while socket.read_buf(&mut asked).await.is_ok_and(|n| n > 0) {
                    let text = String::from_utf8_lossy(&asked).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        continue;
                    };
                    let length = head.lines().find_map(|line| {
                        let (name, value) = line.split_once(':')?;
                        (name.eq_ignore_ascii_case("content-length"))
                            .then(|| value.trim().parse().ok())?
                    });
                    if body.len() < length.unwrap_or(0) {
                        continue;
                    }
                    let (state, answer) = if head.starts_with("GET /root.xml") {
                        ("200 OK", DESCRIPTION.to_owned())
                    } else if head.starts_with("GET /scpd.xml") {
                        ("200 OK", actions())
                    } else {
                        tell.send(body.to_owned()).unwrap();
                        answered(body)
                    };
                    let length = answer.len();
                    let answer = format!(
                        "HTTP/1.1 {state}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\
                         Connection: close\r\n\r\n{answer}"
                    );
                    let _ = socket.write_all(answer.as_bytes()).await;
                    return;
                }
            });
        }
    });
    (searched, told)
}

/// What the router says to an action.
fn answered(body: &str) -> (&'static str, String) {
    let envelope = |inner: &str| {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
             <s:Body>{inner}</s:Body></s:Envelope>"
        )
    };
    let action = |name: &str| {
        envelope(&format!(
            "<u:{name} xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:1\"></u:{name}>"
        ))
    };
    if body.contains("DeletePortMapping") {
        return ("200 OK", action("DeletePortMappingResponse"));
    }
    if body.contains("<NewLeaseDuration>0<") {
        return ("200 OK", action("AddPortMappingResponse"));
    }
    let fault = "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>\
        <UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>725</errorCode>\
        <errorDescription>OnlyPermanentLeasesSupported</errorDescription></UPnPError></detail></s:Fault>";
    ("500 Internal Server Error", envelope(fault))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_router_leads_in_and_forgets() {
    let (at, mut told) = gateway().await;
    let local: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let mapped = portmap::map_by_upnp(Some(at), local, Protocol::Udp).await;
    let mapped = mapped.unwrap();
    assert_eq!((mapped.external, mapped.by), (6881, "UPnP"));
    let first = told.recv().await.unwrap();
    assert!(
        first.contains("<NewInternalPort>6881<") && first.contains("UDP"),
        "{first}"
    );
    // It is asked for one for ever after it has refused another.
    assert!(told.recv().await.unwrap().contains("<NewLeaseDuration>0<"));
    mapped.end().await;
    assert!(told.recv().await.unwrap().contains("DeletePortMapping"));
}
