//! STUN on the SIP port, between the messages.

use crate::harness::{Manner, Peer, Server, message};

#[tokio::test]
async fn a_binding_request_on_the_sip_port_says_where_it_came_from() {
    let server = Server::start(Manner::Answer(200)).await;
    let peer = Peer::bind().await;
    let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
    peer.socket.send_to(&request, server.udp).await.unwrap();
    let mut answer = [0; 100];
    let (len, from) = peer.socket.recv_from(&mut answer).await.unwrap();
    assert_eq!((len, from), (32, server.udp));
    assert_eq!((&answer[..2], &answer[8..20]), (&[1, 1][..], &[7; 12][..]));
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    assert_eq!(port, peer.addr().port());
    // A binding response, and half of a request, are nothing to answer.
    peer.socket.send_to(&[&[1, 1][..], &request[2..]].concat(), server.udp).await.unwrap();
    peer.socket.send_to(&request[..10], server.udp).await.unwrap();
    peer.send(&message("MESSAGE", "h.example;rport;branch=z9hG4bK1", ""), server.udp).await;
    assert!(peer.receive().await.0.starts_with("SIP/2.0 200"), "nothing else was sent");
    let metrics = server.endpoint.metrics();
    assert_eq!((metrics.keepalives.value(), metrics.invalid_dropped.value()), (1, 2));
}
