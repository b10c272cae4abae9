//! The service: takes calls, keeps them, finds the one a request belongs to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use sip::{HeaderId, Outgoing, Request, ResponseBuilder};
use tokio::sync::Semaphore;

use crate::call::{Beginning, Call, Medium, Opening, Spare, Unacked, Wire};
use crate::clip::{Clip, Tools};
use crate::dialog::{Dialog, DialogId, SessionTimer};
use crate::effort::{Bench, Effort};
use crate::memory::Memory;
use crate::order::Order;
use crate::refusal::Refusal;
use crate::rtp::{Pacer, Ports, Sockets};
use crate::sdp::{self, Agreed, Key, Making, Means, Session, Suite};
use crate::settings::{Settings, StartError};
use crate::source::{Content, Names, Sources};

/// The methods a call takes.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";

/// The extensions that are known (RFC 4028).
const SUPPORTED: &str = "timer";

/// The announcement service. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Annc {
    inside: Arc<Inside>,
}

#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) settings: Settings,
    sources: Sources,
    pub(crate) bench: Bench,
    pub(crate) memory: Memory,
    pub(crate) pacer: Pacer,
    ports: Ports,
    streams: Arc<Semaphore>,
    calls: Mutex<HashMap<DialogId, Weak<Wire>>>,
}

/// Whether media may be sent to an address.
pub type Open = Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>;

/// Where and how an INVITE came.
pub struct Meeting {
    /// Our address that it came to.
    pub local: IpAddr,
    /// Whether nobody else could read it: TLS.
    pub secure: bool,
    /// The value of our Contact.
    pub contact: String,
    /// Whether the caller may have media sent to an address.
    pub open: Open,
}

/// The answer to a request within a call.
#[derive(Debug)]
pub struct Answered {
    /// To be sent now.
    pub response: Outgoing,
    /// And again, until its ACK comes.
    pub unacked: Option<Unacked>,
}

impl From<Outgoing> for Answered {
    fn from(response: Outgoing) -> Answered {
        Answered { response, unacked: None }
    }
}

/// A call that was taken.
#[derive(Debug)]
pub struct Accepted {
    /// The 200.
    pub answer: Outgoing,
    /// The call, which wants to be driven.
    pub call: Call,
}

impl Annc {
    /// Starts the service.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: Settings, names: Arc<dyn Names>) -> Result<Annc, StartError> {
        let sources = Sources::new(settings.sources.clone(), names)?;
        let (first, last) = settings.ports;
        let inside = Inside {
            sources,
            pacer: Pacer::start()?,
            ports: Ports::new(first, last),
            bench: Bench::new(settings.children, settings.effort),
            memory: Memory::new(settings.memory.max(settings.sources.octets)),
            streams: Arc::new(Semaphore::new(settings.streams.min(Semaphore::MAX_PERMITS))),
            calls: Mutex::default(),
            settings,
        };
        Ok(Annc { inside: Arc::new(inside) })
    }

    /// Takes a call, or says why not. Dropped before its end (CANCEL) it leaves nothing behind.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn invite(&self, invite: &Request, meeting: &Meeting) -> Result<Accepted, Refusal> {
        let begun = Instant::now();
        let outcome = self.take(invite, meeting).await;
        let word = match &outcome {
            Ok(_) => "taken".to_owned(),
            Err(refusal) => refusal.verdict(self.inside.settings.failed).status.to_string(),
        };
        metrics::counter!("annc_calls_total", "outcome" => word).increment(1);
        metrics::histogram!("annc_setup_seconds").record(begun.elapsed().as_secs_f64());
        outcome
    }

    async fn take(&self, invite: &Request, meeting: &Meeting) -> Result<Accepted, Refusal> {
        let inside = &self.inside;
        let order = Order::read(&invite.uri())?;
        let unknown =
            invite.values(HeaderId::Require).filter(|tag| !tag.eq_ignore_ascii_case(SUPPORTED.as_bytes()));
        let unknown: Vec<_> = unknown.map(String::from_utf8_lossy).collect();
        if !unknown.is_empty() {
            return Err(Refusal::Extension(unknown.join(", ")));
        }
        let timer = SessionTimer::of(invite, inside.settings.session).map_err(Refusal::Interval)?;
        let offer = description(invite)?;
        let random = random()?;
        let tag = format!("{:032x}", u128::from_be_bytes(random));
        let dialog = Dialog::of_invite(invite, &tag).ok_or(Refusal::NoContact)?;
        let permit = Arc::clone(&inside.streams).try_acquire_owned().map_err(|_none| Refusal::Full)?;
        let keys = inside.is_safe(meeting.secure);
        let most = &inside.settings.sources;
        let mut held = inside.memory.wait(most.octets, most.deadline).await?;
        let content = inside.sources.fetch(&order).await?;
        held.shrink(content.octets.len());
        let effort = inside.bench.begin();
        let clip = self.clip(content, offer.as_ref(), &effort).await?;
        let means = clip.means(keys);
        let address = inside.address(meeting);
        let open = sendable(address, &meeting.open);
        let mut opening = self.open(offer, clip, &means, (address, &open), &effort).await?;
        // Packets that are pieces of it need it as long as they are there.
        let is_needed = |medium: &Medium| medium.agreed.making == Making::Pass;
        if opening.clip.is_some() || opening.media.iter().flatten().any(is_needed) {
            opening.held.push(held);
        }
        let call = self.call(Beginning {
            inside: Arc::clone(inside),
            dialog,
            order,
            opening,
            timer,
            allows_update: allows_update(invite),
            contact: meeting.contact.clone(),
            open,
            permit,
        });
        let answer = self.answer(invite, &tag, &call, meeting);
        Ok(Accepted { answer, call })
    }

    /// Looks at an announcement; at its pictures if the caller may want them.
    async fn clip(
        &self,
        content: Content,
        offer: Option<&Session>,
        effort: &Effort,
    ) -> Result<Clip, Refusal> {
        let settings = &self.inside.settings;
        let limits = media::Limits { octets: settings.sources.octets, seconds: settings.seconds };
        let tools = Tools { limits, ffmpeg: settings.ffmpeg.clone() };
        let wants_pictures = offer.is_none_or(Session::wants_video);
        let wants_rates = offer.is_none_or(Session::is_limited);
        let clip = effort.run(false, move |_| Ok(Clip::open(content, tools, wants_pictures)));
        let mut clip = clip.await?;
        if wants_rates {
            clip = effort.run(false, move |_| Ok(clip.weighed())).await?;
        }
        if clip.is_unknown() {
            clip = effort.run(true, move |stop| clip.look(stop)).await?;
        }
        clip.check()?;
        Ok(clip)
    }

    /// Agrees on media, opens their ports and makes their packets; without an offer makes one.
    async fn open(
        &self,
        offer: Option<Session>,
        clip: Clip,
        means: &Means,
        (address, open): (IpAddr, &Open),
        effort: &Effort,
    ) -> Result<Opening, Refusal> {
        let id = u64::from_be_bytes(*random()?.first_chunk().ok_or(Refusal::Ports)?) >> 2;
        let mut local = sdp::Local { id, version: id, address, media: Vec::new(), sets: Vec::new() };
        let Some(offer) = offer else {
            local.sets = clip.parameter_sets().to_vec();
            return self.offer(clip, means, local);
        };
        let agreement = sdp::agree(&offer, means, &**open)?;
        let (mut media, mut held) = (Vec::new(), Vec::new());
        for agreed in &agreement {
            let (medium, ours) = match agreed {
                Some(agreed) => {
                    let (medium, ours) = self.medium(&clip, agreed, address, effort).await?;
                    local.sets.extend_from_slice(&medium.track.sets);
                    held.push(self.inside.memory.hold_track(&medium.track)?);
                    (Some(medium), Some(ours))
                }
                None => (None, None),
            };
            media.push(medium);
            local.media.push(ours);
        }
        let body = sdp::answer(&offer, &agreement, &local);
        let (means, theirs) = (means.clone(), Some(offer.outline()));
        Ok(Opening { clip: None, means, local, body, theirs, media, spare: Vec::new(), held })
    }

    /// An offer of everything, to who made none (RFC 3261 §13.2.1); encrypted if that is wanted and nobody else reads it.
    fn offer(&self, clip: Clip, means: &Means, local: sdp::Local) -> Result<Opening, Refusal> {
        let is_srtp = means.keys && self.inside.settings.offer_srtp;
        let means = Means { keys: is_srtp, ..means.clone() };
        let all = || means.passes.iter().chain(&means.encodes).chain(&means.transcodes);
        let mut spare: Vec<Spare> = Vec::new();
        let mut is_offered = [false, false];
        for (is_video, is_offered) in [false, true].into_iter().zip(&mut is_offered) {
            if all().any(|form| form.is_video() == is_video) {
                let sockets = Arc::new(self.inside.ports.open(local.address).ok_or(Refusal::Ports)?);
                let suites = [(1, Suite::Sha1_80), (2, Suite::Sha1_32)].into_iter().filter(|_| is_srtp);
                let keys = suites.map(|(tag, suite)| fresh_key(tag, suite)).collect::<Result<_, _>>()?;
                spare.push(Spare { sockets, keys });
                *is_offered = true;
            }
        }
        let mut ends = spare.iter().map(|spare| (spare.sockets.port, spare.keys.as_slice()));
        let ends = is_offered.map(|is_offered| if is_offered { ends.next() } else { None });
        let body = sdp::offer(&means, &local, ends);
        let (media, held) = (Vec::new(), Vec::new());
        Ok(Opening { clip: Some(clip), means, local, body, theirs: None, media, spare, held })
    }

    async fn medium(
        &self,
        clip: &Clip,
        agreed: &Agreed,
        address: IpAddr,
        effort: &Effort,
    ) -> Result<(Medium, sdp::LocalMedium), Refusal> {
        let sockets = Arc::new(self.inside.ports.open(address).ok_or(Refusal::Ports)?);
        let key = agreed.key.as_ref().map(|theirs| fresh_key(theirs.tag, theirs.suite)).transpose()?;
        let ours = sdp::LocalMedium { port: sockets.port, key: key.clone() };
        let medium = make(clip.clone(), agreed.clone(), sockets, key, effort).await?;
        Ok((medium, ours))
    }

    fn call(&self, beginning: Beginning) -> Call {
        let id = beginning.dialog.id().clone();
        let call = Call::new(beginning);
        let mut calls = self.inside.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.insert(id, Arc::downgrade(call.wire()));
        metrics::gauge!("annc_calls").set(u32::try_from(calls.len()).unwrap_or(u32::MAX));
        call
    }

    fn answer(&self, invite: &Request, tag: &str, call: &Call, meeting: &Meeting) -> Outgoing {
        let mut builder = ResponseBuilder::to_request(invite, 200, "OK")
            .to_tag(tag)
            .copy(invite, HeaderId::RecordRoute)
            .header(HeaderId::Contact, &meeting.contact)
            .header("Allow", ALLOW)
            .header("Supported", SUPPORTED)
            .header("Content-Type", "application/sdp");
        if let Some(timer) = call.timer() {
            builder = timed(builder, timer);
        }
        builder.body(call.body()).build()
    }

    /// The work of all calls.
    #[cfg(test)]
    pub(crate) fn bench(&self) -> &Bench {
        &self.inside.bench
    }

    /// Whether those may call who are no users.
    pub fn takes_strangers(&self) -> bool {
        self.inside.settings.strangers
    }

    /// Whether keys of SRTP may be told where others can read them.
    pub fn sends_keys_in_clear(&self) -> bool {
        self.inside.settings.keys_in_clear
    }

    /// Ends all calls.
    pub fn hang_up(&self) {
        let calls = self.inside.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let wires: Vec<Arc<Wire>> = calls.values().filter_map(Weak::upgrade).collect();
        drop(calls);
        wires.iter().for_each(|wire| wire.hang_up());
    }

    /// Whether a request belongs to a call of ours.
    pub fn knows(&self, request: &Request) -> bool {
        self.wire(request).is_some()
    }

    /// The answer to a request within a dialog; not for ACK. `None` once nobody needs one any more.
    pub fn request(&self, request: &Request, meeting: &Meeting) -> Answered {
        let answered = match self.wire(request) {
            Some(wire) => wire.request(request, meeting),
            None => Err(Refusal::NoDialog),
        };
        match answered {
            Ok(answer) => answer,
            Err(refusal) => refusal.verdict(self.inside.settings.failed).response(request).build().into(),
        }
    }

    /// Takes an ACK; `false` if it belongs to no call. `is_secure` says whether nobody else could read it: TLS.
    pub fn ack(&self, request: &Request, is_secure: bool) -> bool {
        self.wire(request).inspect(|wire| wire.acknowledged(request, is_secure)).is_some()
    }

    /// The response to what was refused.
    pub fn refuse(&self, request: &Request, refusal: &Refusal) -> ResponseBuilder {
        refusal.verdict(self.inside.settings.failed).response(request)
    }

    /// Closes connections that have had nothing to do for long, and forgets calls that are over.
    pub async fn sweep(&self) {
        self.inside.sources.sweep().await;
        let mut calls = self.inside.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, wire| wire.strong_count() > 0);
        metrics::gauge!("annc_calls").set(u32::try_from(calls.len()).unwrap_or(u32::MAX));
    }

    fn wire(&self, request: &Request) -> Option<Arc<Wire>> {
        let id = DialogId::of(request)?;
        self.inside.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.upgrade()
    }
}

impl Inside {
    /// Where our media come from.
    const fn address(&self, meeting: &Meeting) -> IpAddr {
        match self.settings.address {
            address if address.is_unspecified() => meeting.local,
            address => address,
        }
    }

    /// Whether keys may be said and believed on a way that is `secure`, or is not.
    pub(crate) const fn is_safe(&self, secure: bool) -> bool {
        secure || self.settings.keys_in_clear
    }

    /// A call is over.
    pub(crate) fn forget(&self, id: &DialogId) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.remove(id);
        metrics::gauge!("annc_calls").set(u32::try_from(calls.len()).unwrap_or(u32::MAX));
    }
}

/// What `open` allows and our address can send to: nothing of the other family.
fn sendable(from: IpAddr, open: &Open) -> Open {
    let (is_ipv4, open) = (from.to_canonical().is_ipv4(), Arc::clone(open));
    Arc::new(move |addr| addr.ip().to_canonical().is_ipv4() == is_ipv4 && open(addr))
}

impl crate::Verdict {
    /// The response.
    pub fn response(&self, request: &Request) -> ResponseBuilder {
        let mut builder = ResponseBuilder::to_request(request, self.status, self.reason);
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        if let Some((code, text)) = &self.warning {
            let text: String = text.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
            builder = builder.header("Warning", format!("{code} annc \"{text}\""));
        }
        builder
    }
}

/// The packets of a medium, on a thread for work.
pub(crate) async fn make(
    clip: Clip,
    agreed: Agreed,
    sockets: Arc<Sockets>,
    key: Option<Key>,
    effort: &Effort,
) -> Result<Medium, Refusal> {
    let wanted = agreed.clone();
    let track = effort.run(clip.needs_child(&agreed), move |stop| clip.track(&wanted, stop)).await?;
    Ok(Medium { agreed, track, sockets, key, playing: None, is_held: false })
}

/// Whether who sent a request says that he knows UPDATE.
pub(crate) fn allows_update(request: &Request) -> bool {
    request.values(HeaderId::Allow).any(|method| method == b"UPDATE")
}

/// A 200 with the life of its session. Whoever refreshes it, the caller has to know (RFC 4028 §9).
pub(crate) fn timed(builder: ResponseBuilder, timer: SessionTimer) -> ResponseBuilder {
    builder.header("Session-Expires", timer.header()).header("Require", SUPPORTED)
}

/// A key of ours.
pub(crate) fn fresh_key(tag: u32, suite: Suite) -> Result<Key, Refusal> {
    let mut secret = [0; 30];
    getrandom::fill(&mut secret).map_err(|_| Refusal::Ports)?;
    Ok(Key { tag, suite, secret })
}

pub(crate) fn random() -> Result<[u8; 16], Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Refusal::Ports)?;
    Ok(random)
}

/// The description in a body; `None` without a body.
///
/// # Errors
/// [`Refusal::Body`] for another type, [`Refusal::Description`] for one that can't be read.
pub(crate) fn description(request: &Request) -> Result<Option<Session>, Refusal> {
    let body = request.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = request.header(HeaderId::ContentType).unwrap_or(b"application/sdp");
    let kind = kind.split(|&octet| octet == b';').next().unwrap_or_default().trim_ascii();
    let is_plain = request.header_named("Content-Encoding").is_none_or(|coding| coding == b"identity");
    match kind.eq_ignore_ascii_case(b"application/sdp") && is_plain {
        true => Ok(Some(Session::read(&body)?)),
        false => Err(Refusal::Body),
    }
}
