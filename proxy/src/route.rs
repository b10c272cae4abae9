//! Route information preprocessing (RFC 3261 §16.4): what the request asks to be done before anyone is
//! looked up.

use std::net::IpAddr;

use sip::{NameAddr, Uri};
use transport::Flow;

use crate::edge;
use crate::ours::{Ours, Place};
use crate::record::{Dialog, Mark, RouteKey, Side};
use crate::refuse::Refused;

/// A request's way as it stands after preprocessing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The Request-URI to work with.
    pub(crate) uri: Uri,
    /// The Route values that are left, in order.
    pub(crate) routes: Vec<Vec<u8>>,
    /// Whether `routes` differ from what the request carries.
    pub(crate) rerouted: bool,
    /// Where the request goes if it came along Record-Routes of ours: it belongs to a dialog that was set up
    /// through here.
    pub(crate) side: Option<Side>,
    /// Where its sender was when that dialog was set up.
    pub(crate) home: Option<Side>,
    /// The phone whose flow its Route names, if it is not the sender's own (RFC 5626 §5.3).
    pub(crate) named: Option<Side>,
}

impl Way {
    /// Straight to a URI.
    pub(crate) const fn to(uri: Uri) -> Way {
        Way { uri, routes: Vec::new(), rerouted: false, side: None, home: None, named: None }
    }

    /// Whether the request belongs to a dialog that was set up through here.
    pub(crate) const fn in_dialog(&self) -> bool {
        self.side.is_some()
    }

    /// Where the request goes next: the first Route that is left, or its Request-URI.
    pub(crate) fn next(&self) -> Option<Uri> {
        match self.routes.first() {
            Some(route) => address(route).ok(),
            None => Some(self.uri.clone()),
        }
    }

    /// Takes what a mark says. Where a request passed here more than once, the first sender is the one it is from,
    /// and the last recipient the one it goes to.
    fn marked(&mut self, mark: Option<Mark>) {
        match mark {
            Some(Mark::Recipient(side)) => self.side = Some(side),
            Some(Mark::Sender(side)) => self.home = self.home.or(Some(side)),
            None => {}
        }
    }
}

/// Reads the way of a request: its Request-URI and Route values. `flow` is what it came on.
///
/// # Errors
/// [`Refused::Forbidden`] for a Route that can't be read, or a flow token of somebody else's making.
pub(crate) fn preprocess<'d>(
    uri: &Uri,
    routes: &[&[u8]],
    dialog: &dyn Fn() -> Dialog<'d>,
    ours: &Ours,
    key: &RouteKey,
    flow: &Flow,
) -> Result<Way, Refused> {
    let local = flow.local.ip();
    let mut way = Way::to(uri.clone());
    let mut left = routes;
    let mark = recorded(uri, dialog, ours, key, local);
    if mark.is_some()
        && let Some((last, before)) = left.split_last()
    {
        // A strict router put our Record-Route into the Request-URI and its target last into Route.
        way.uri = address(last)?;
        way.marked(mark);
        way.rerouted = true;
        left = before;
    }
    // All of our own in a row, since one of them would only bring the request back here.
    while let Some((first, after)) = left.split_first() {
        let route = address(first)?;
        if ours.place(&route, local) == Place::Foreign {
            break;
        }
        way.marked(recorded(&route, dialog, ours, key, local));
        if let Some(named) = route.user().and_then(|user| key.read_token(user)) {
            let named = named.ok_or(Refused::Forbidden("A flow token that is not of this server"))?;
            // Of several in a row the first says where to; the others are other edges of ours.
            way.named = way.named.or(Some(named).filter(|named| !edge::is_own(flow, named)));
        }
        way.rerouted = true;
        left = after;
    }
    way.routes = left.iter().map(|route| route.to_vec()).collect();
    way.uri = without_own_maddr(way.uri, ours, local);
    Ok(way)
}

fn address(route: &[u8]) -> Result<Uri, Refused> {
    let read = NameAddr::parse(route).ok().and_then(|address| address.uri().ok());
    read.ok_or(Refused::Forbidden("A Route value can't be read"))
}

/// What our mark in that URI says, if it is one of ours.
fn recorded<'d>(
    uri: &Uri,
    dialog: &dyn Fn() -> Dialog<'d>,
    ours: &Ours,
    key: &RouteKey,
    local: IpAddr,
) -> Option<Mark> {
    let user = uri.user().filter(|user| RouteKey::may_be_mark(user))?;
    if ours.place(uri, local) == Place::Foreign {
        return None;
    }
    key.read(user, &dialog())
}

/// A maddr that means us says no more than that the request should come here; it goes, and the port and
/// transport with it.
fn without_own_maddr(uri: Uri, ours: &Ours, local: IpAddr) -> Uri {
    let is_ours = uri
        .param(b"maddr")
        .and_then(sip::Host::parse)
        .is_some_and(|maddr| ours.place_of(maddr, uri.port(), local) != Place::Foreign);
    let Some(host) = uri.host_octets().filter(|_| is_ours) else { return uri };
    let mut text = [uri.scheme_octets(), b":"].concat();
    if let Some(user) = uri.user() {
        text.extend_from_slice(user);
        text.push(b'@');
    }
    text.extend_from_slice(host);
    for param in uri.params().filter(|param| !param.is(b"maddr") && !param.is(b"transport")) {
        text.push(b';');
        text.extend_from_slice(param.raw);
    }
    Uri::parse(&text).unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use transport::Protocol;

    use super::*;
    use crate::record::End;

    const CALL: &[u8] = b"c@x";
    const DIALOG: Dialog<'_> =
        Dialog { call_id: CALL, from: (b"sip:f@h", Some(b"f")), to: (b"sip:t@h", Some(b"t")) };

    fn way(uri: &str, routes: &[&str], key: &RouteKey) -> Way {
        let ours = Ours::new(&["example.com".into()], &[], vec!["192.0.2.1:5060".parse().unwrap()]);
        let routes: Vec<_> = routes.iter().map(|route| route.as_bytes()).collect();
        preprocess(&uri.parse().unwrap(), &routes, &|| DIALOG, &ours, key, &flow()).unwrap()
    }

    fn flow() -> Flow {
        let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.7:40000".parse().unwrap());
        Flow { protocol: Protocol::Tcp, local, remote, id: 7 }
    }

    #[test]
    fn a_flow_token_leads_to_its_flow_unless_the_request_came_on_it() {
        let on = |id| Side { protocol: Protocol::Tcp, remote: flow().remote, flow: Some(id), ..side(1) };
        let token = |id| format!("<sip:{}@192.0.2.1;lr;ob>", key().token(&on(id)));
        assert_eq!(way("sip:a@b", &[&token(8)], &key()).named, Some(on(8)));
        assert_eq!(way("sip:a@b", &[&token(7)], &key()).named, None);
        assert_eq!(way("sip:a@b", &[&token(7), &token(9)], &key()).named, Some(on(9)));
        let elsewhere = token(8).replace("192.0.2.1", "other.example");
        assert_eq!(way("sip:a@b", &[&elsewhere], &key()).named, None);
    }

    fn side(port: u16) -> Side {
        let remote = SocketAddr::new([192, 0, 2, 99].into(), port);
        Side { protocol: Protocol::Udp, remote, port: None, flow: None, only_flow: false }
    }

    fn marked(dialog: &Dialog<'_>, end: End, port: u16) -> String {
        format!("<sip:{}@192.0.2.1;lr>", key().mark(dialog, end, &side(port)))
    }

    #[test]
    fn of_the_two_routes_we_wrote_one_says_who_sends_and_the_other_where_it_goes() {
        let caller = marked(&DIALOG, End::Caller, 1);
        let callee = marked(&DIALOG, End::Callee, 2);
        for routes in
            [vec![&*caller, &callee], vec![&caller, &callee, "<sip:next;lr>"], vec![&callee, &caller]]
        {
            let way = way("sip:a@b", &routes, &key());
            assert_eq!((way.home, way.side), (Some(side(1)), Some(side(2))));
        }
        let again = marked(&DIALOG, End::Callee, 3);
        assert_eq!(
            way("sip:a@b", &[&callee, &again], &key()).side,
            Some(side(3)),
            "the last one leads onward"
        );
    }

    #[test]
    fn the_mark_of_its_own_end_takes_a_request_nowhere() {
        assert!(!way("sip:a@b", &[&marked(&DIALOG, End::Caller, 1)], &key()).in_dialog());
    }

    fn key() -> RouteKey {
        RouteKey::new([7; 32])
    }

    #[test]
    fn our_own_routes_are_taken_off_and_others_stay() {
        let way = way("sip:a@b", &["<sip:192.0.2.1;lr>", "<sip:example.com;lr>", "<sip:next;lr>"], &key());
        assert_eq!(way.routes, [b"<sip:next;lr>"]);
        assert!(way.rerouted && !way.in_dialog());
        assert_eq!(way.uri.as_bytes(), b"sip:a@b");
    }

    #[test]
    fn a_way_without_routes_is_not_touched() {
        let way = way("sip:john@example.com", &[], &key());
        assert!(!way.rerouted && way.routes.is_empty());
    }

    #[test]
    fn only_a_route_with_our_mark_says_that_the_dialog_came_through_here() {
        let ours = marked(&DIALOG, End::Callee, 7);
        assert!(way("sip:a@b", &[&ours], &key()).in_dialog());
        let other = marked(&Dialog { call_id: b"other", ..DIALOG }, End::Callee, 7);
        assert!(!way("sip:a@b", &[&other], &key()).in_dialog());
        let elsewhere = ours.replace("192.0.2.1", "other.example");
        assert!(!way("sip:a@b", &[&elsewhere], &key()).in_dialog());
    }

    #[test]
    fn what_a_strict_router_wrote_is_put_right() {
        let uri = format!("sip:{}@192.0.2.1", key().mark(&DIALOG, End::Callee, &side(7)));
        let way = way(&uri, &["<sip:next;lr>", "<sip:bob@phone>"], &key());
        assert_eq!(way.uri.as_bytes(), b"sip:bob@phone");
        assert_eq!(way.routes, [b"<sip:next;lr>"]);
        assert!(way.in_dialog() && way.rerouted);
    }

    #[test]
    fn a_maddr_that_means_us_goes_with_its_transport_and_port() {
        let way1 = way("sip:john@example.com:5060;maddr=192.0.2.1;transport=tcp;x=y", &[], &key());
        assert_eq!(way1.uri.as_bytes(), b"sip:john@example.com;x=y");
        let way2 = way("sip:john@example.com;maddr=192.0.2.2", &[], &key());
        assert_eq!(way2.uri.as_bytes(), b"sip:john@example.com;maddr=192.0.2.2");
    }

    #[test]
    fn a_route_that_cannot_be_read_is_refused() {
        let ours = Ours::new(&[], &[], Vec::new());
        let read =
            preprocess(&"sip:a@b".parse().unwrap(), &[b"<nonsense"], &|| DIALOG, &ours, &key(), &flow());
        assert!(matches!(read, Err(Refused::Forbidden(_))));
    }
}
