//! One certificate: what its own signatures say of its keys.
//!
//! Only what the primary key itself has signed counts here; certifications by
//! others are the web of trust's. Signatures are computed newest first and
//! only as far as the question needs.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, SubpacketData, UserId};
use pgp::packet::{PacketHeader, PublicKey, PublicSubkey, Signature as Packet, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use super::{Checks, Signer};
use crate::fingerprint::Fingerprint;
use crate::limits;
use crate::number::{Seconds, Time};
use crate::packets;
use crate::signature::{self, Either, Fault, Signature, names_issuer};

/// A certificate that could be read; nothing in it is believed yet.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    primary: PublicKey,
    fingerprint: Fingerprint,
    direct: Vec<Packet>,
    users: Vec<(UserId, Vec<Packet>)>,
    subkeys: Vec<(PublicSubkey, Fingerprint, Vec<Packet>)>,
}

/// What a self-signature says of a key.
struct Grant {
    flags: Option<KeyFlags>,
    expires: Option<Time>,
}

/// How many signatures may still be computed for one certificate, and in all.
struct Budget<'a> {
    left: usize,
    /// Whether keys that were retired count as before.
    forgive: bool,
    all: &'a mut Checks,
}

impl Budget<'_> {
    fn spend(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or(Fault::TooManyChecks)?;
        self.all.spend()
    }
}

impl Certificate {
    /// Returns the fingerprint of a public key packet.
    pub(super) fn fingerprint_of(packet: &packets::Packet<'_>) -> Option<Fingerprint> {
        signature::fingerprint(&read_primary(packet.body)?.fingerprint())
    }

    /// Sorts the packets of one certificate; signatures and subkeys that
    /// cannot be read are passed over.
    pub(super) fn read(packets: &[packets::Packet<'_>]) -> Option<Self> {
        let primary = read_primary(packets.first()?.body)?;
        let mut certificate = Self {
            fingerprint: signature::fingerprint(&primary.fingerprint())?,
            primary,
            direct: Vec::new(),
            users: Vec::new(),
            subkeys: Vec::new(),
        };
        // Where the signatures that follow belong; nowhere after a packet
        // that is not understood.
        let mut nowhere = Vec::new();
        let mut place: u8 = packets::PUBLIC_KEY;
        for packet in &packets[1..] {
            match packet.tag {
                packets::SIGNATURE => {
                    let list = match place {
                        packets::PUBLIC_KEY => Some(&mut certificate.direct),
                        packets::USER_ID => certificate.users.last_mut().map(|(_, list)| list),
                        packets::PUBLIC_SUBKEY => {
                            certificate.subkeys.last_mut().map(|(_, _, list)| list)
                        }
                        _ => None,
                    };
                    list.unwrap_or(&mut nowhere)
                        .extend(signature::read(packet.body));
                }
                tag => place = certificate.open(tag, packet.body),
            }
        }
        Some(certificate)
    }

    /// Begins a user id or subkey; says where its signatures go.
    fn open(&mut self, tag: u8, body: &[u8]) -> u8 {
        match tag {
            packets::USER_ID => match read_user(body) {
                Some(user) => self.users.push((user, Vec::new())),
                None => return 0,
            },
            packets::PUBLIC_SUBKEY => match read_subkey(body) {
                Some((key, print)) => self.subkeys.push((key, print, Vec::new())),
                None => return 0,
            },
            _ => return 0,
        }
        tag
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Tells whether a key is the primary key or a subkey.
    pub(super) fn holds(&self, key: &Fingerprint) -> bool {
        self.fingerprint == *key || self.subkeys.iter().any(|(_, print, _)| print == key)
    }

    /// Says whether a key of this certificate made the signature, and might.
    ///
    /// The number that costs least comes first: is it good at all?
    pub(super) fn verify(
        &self,
        signature: &Signature,
        payload: &[u8],
        now: Time,
        forgive: bool,
        all: &mut Checks,
    ) -> Result<Signer, Fault> {
        let mut budget = Budget {
            left: limits::CERTIFICATE_CHECKS,
            forgive,
            all,
        };
        let mut fault = Fault::NoSuchKey;
        if signature.may_be_by(&self.primary) {
            budget.spend()?;
            let made = signature
                .computes(&self.primary, payload)
                .and_then(|()| self.check_primary(signature, now, true, &mut budget));
            match made {
                Ok(()) => return Ok(self.signer(self.fingerprint, signature)),
                Err(why) => fault = why,
            }
        }
        for (subkey, print, signatures) in &self.subkeys {
            if !signature.may_be_by(subkey) {
                continue;
            }
            budget.spend()?;
            let made = signature
                .computes(subkey, payload)
                .and_then(|()| self.check_primary(signature, now, false, &mut budget))
                .and_then(|()| self.check_subkey(subkey, signatures, signature, now, &mut budget));
            match made {
                Ok(()) => return Ok(self.signer(*print, signature)),
                Err(why) => fault = why,
            }
        }
        Err(fault)
    }

    fn signer(&self, key: Fingerprint, signature: &Signature) -> Signer {
        Signer {
            primary: self.fingerprint,
            key,
            created: signature.created(),
        }
    }

    /// Returns what claims to be a revocation of the primary key by itself.
    fn revocations(&self) -> impl Iterator<Item = &Packet> {
        self.direct.iter().filter(|packet| {
            packet.typ() == Some(SignatureType::KeyRevocation)
                && names_issuer(packet, &self.primary)
        })
    }

    /// Says how others whom the key itself has named as its revokers have
    /// revoked it (RFC 9580 section 5.2.3.23); they are looked for `among`
    /// some certificates. One who is not there cannot be heard.
    ///
    /// # Errors
    /// [`Fault::KeyRevoked`], [`Fault::KeyRetired`] unless that is forgiven, or
    /// the end of a budget.
    pub(super) fn revoked_by_others(
        &self,
        among: &[&Self],
        forgive: bool,
        all: &mut Checks,
    ) -> Result<(), Fault> {
        let mut others = self
            .direct
            .iter()
            .filter(|packet| packet.typ() == Some(SignatureType::KeyRevocation))
            .filter(|packet| !names_issuer(packet, &self.primary))
            .peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let mut budget = Budget {
            left: limits::CERTIFICATE_CHECKS,
            forgive,
            all,
        };
        let mut revokers = Vec::new();
        for packet in &self.direct {
            let named: Vec<Fingerprint> = revokers_named(packet).collect();
            if named.is_empty() || !names_issuer(packet, &self.primary) {
                continue;
            }
            budget.spend()?;
            if packet.verify_key(&Either(&self.primary)).is_ok() {
                revokers.extend(named);
            }
        }
        let mut retired = false;
        for packet in others {
            for revoker in among.iter().filter(|c| revokers.contains(&c.fingerprint)) {
                if !names_issuer(packet, &revoker.primary) {
                    continue;
                }
                budget.spend()?;
                let made = packet.verify_key_third_party(&self.primary, &Either(&revoker.primary));
                match made {
                    Ok(()) if is_soft(packet) => retired = true,
                    Ok(()) => return Err(Fault::KeyRevoked),
                    Err(_) => {}
                }
            }
        }
        match retired && !forgive {
            true => Err(Fault::KeyRetired),
            false => Ok(()),
        }
    }

    /// Returns whom the key names as its revokers, by its own unverified word.
    pub(super) fn revokers(&self) -> Vec<Fingerprint> {
        let own = |packet: &&Packet| names_issuer(packet, &self.primary);
        let direct = self.direct.iter().filter(own);
        direct.flat_map(revokers_named).collect()
    }

    /// Tells whether the primary key has revoked itself.
    pub(super) fn is_revoked(&self, checks: &mut Checks) -> bool {
        self.revocations()
            .take(limits::CERTIFICATE_CHECKS)
            .any(|packet| {
                checks.spend().is_ok() && packet.verify_key(&Either(&self.primary)).is_ok()
            })
    }

    fn check_primary(
        &self,
        signature: &Signature,
        now: Time,
        must_sign: bool,
        budget: &mut Budget<'_>,
    ) -> Result<(), Fault> {
        // A subkey may be of a kind that is known under a primary key that is not:
        // neither its binding nor a revocation can be told.
        if !signature::is_supported(&self.primary) {
            return Err(Fault::UnsupportedAlgorithm);
        }
        let mut retired = false;
        for packet in self.revocations() {
            budget.spend()?;
            if packet.verify_key(&Either(&self.primary)).is_ok() {
                match is_soft(packet) {
                    true => retired = true,
                    false => return Err(Fault::KeyRevoked),
                }
            }
        }
        if retired && !budget.forgive {
            return Err(Fault::KeyRetired);
        }
        let grant = self.primary_grant(now, budget)?;
        let created = key_time(&self.primary);
        check_validity(created, grant.expires, signature, now)?;
        if must_sign && !grant.flags.is_some_and(|flags| flags.sign()) {
            return Err(Fault::NotForSigning);
        }
        Ok(())
    }

    /// What the primary key says of itself: by its newest signature directly
    /// on the key where that speaks of the matter, else by the newest one on a
    /// user id that is not revoked. So GnuPG reads it.
    fn primary_grant(&self, now: Time, budget: &mut Budget<'_>) -> Result<Grant, Fault> {
        let own = |packet: &&Packet| names_issuer(packet, &self.primary);
        let direct = newest(
            self.direct
                .iter()
                .filter(|p| p.typ() == Some(SignatureType::Key))
                .filter(own),
            now,
            budget,
            |packet| packet.verify_key(&Either(&self.primary)).is_ok(),
        )?;
        let mut on_users = Vec::new();
        for (user, packets) in &self.users {
            let own_packets = packets.iter().filter(own);
            let last = newest(own_packets, now, budget, |packet| {
                packet
                    .verify_certification(&Either(&self.primary), Tag::UserId, user)
                    .is_ok()
            })?;
            on_users.extend(last.filter(|p| p.typ() != Some(SignatureType::CertRevocation)));
        }
        let on_user = on_users.into_iter().max_by_key(|packet| packet.created());
        if direct.is_none() && on_user.is_none() {
            return Err(Fault::Unbound);
        }
        let born = key_time(&self.primary);
        let flags = direct.and_then(flags).or(on_user.and_then(flags));
        let expires = direct
            .and_then(|packet| expiry(packet, born))
            .or(on_user.and_then(|packet| expiry(packet, born)));
        Ok(Grant { flags, expires })
    }

    fn check_subkey(
        &self,
        subkey: &PublicSubkey,
        packets: &[Packet],
        signature: &Signature,
        now: Time,
        budget: &mut Budget<'_>,
    ) -> Result<(), Fault> {
        let mut retired = false;
        for packet in packets {
            if packet.typ() == Some(SignatureType::SubkeyRevocation) {
                budget.spend()?;
                if packet
                    .verify_subkey_binding(&Either(&self.primary), subkey)
                    .is_ok()
                {
                    match is_soft(packet) {
                        true => retired = true,
                        false => return Err(Fault::KeyRevoked),
                    }
                }
            }
        }
        if retired && !budget.forgive {
            return Err(Fault::KeyRetired);
        }
        let binding = newest(
            packets
                .iter()
                .filter(|p| p.typ() == Some(SignatureType::SubkeyBinding)),
            now,
            budget,
            |packet| {
                packet
                    .verify_subkey_binding(&Either(&self.primary), subkey)
                    .is_ok()
            },
        )?
        .ok_or(Fault::UnboundSubkey)?;
        if !flags(binding).is_some_and(|flags| flags.sign()) {
            return Err(Fault::NotForSigning);
        }
        let back = binding
            .embedded_signature()
            .filter(|packet| is_usable(packet, now))
            .ok_or(Fault::NoBackSignature)?;
        budget.spend()?;
        back.verify_primary_key_binding(&Either(subkey), &self.primary)
            .map_err(|_| Fault::NoBackSignature)?;
        let born = key_time(subkey);
        check_validity(born, expiry(binding, born), signature, now)
    }
}

/// Returns the newest signature that verifies, has begun and has not ended.
///
/// There is no falling back behind one that was replaced: an older one is
/// looked at only where the newer is forged.
fn newest<'a>(
    packets: impl Iterator<Item = &'a Packet>,
    now: Time,
    budget: &mut Budget<'_>,
    verifies: impl Fn(&Packet) -> bool,
) -> Result<Option<&'a Packet>, Fault> {
    let mut sorted: Vec<&Packet> = packets.collect();
    sorted.sort_by_key(|packet| std::cmp::Reverse(packet.created()));
    for packet in sorted {
        if made_at(packet).is_none_or(|made| made > now + limits::FUTURE) {
            continue;
        }
        budget.spend()?;
        if verifies(packet) {
            return Ok(Some(packet).filter(|packet| is_usable(packet, now)));
        }
    }
    Ok(None)
}

/// Tells whether a self-signature may be relied on: a hash that is not
/// broken, nothing in it that must be understood and is not, not expired.
///
/// SHA-1 is let pass, with the library's detection of collisions: half of all
/// certificates in use still bind their keys with it, and nobody but the owner
/// chooses what is signed there.
fn is_usable(packet: &Packet, now: Time) -> bool {
    let weak = matches!(
        packet.hash_alg(),
        None | Some(
            HashAlgorithm::None
                | HashAlgorithm::Md5
                | HashAlgorithm::Ripemd160
                | HashAlgorithm::Private10
                | HashAlgorithm::Other(_)
        )
    );
    let Some(made) = made_at(packet) else {
        return false;
    };
    let ended = packet
        .signature_expiration_time()
        .map(|span| u64::from(span.as_secs()))
        .is_some_and(|span| span > 0 && now >= made + Seconds(span));
    !weak && !ended && !signature::has_unknown_critical(packet)
}

/// Tells whether a revocation says that the key was given up and not lost
/// (RFC 9580 section 5.2.3.31): superseded, retired. Everything else is hard.
fn is_soft(packet: &Packet) -> bool {
    use pgp::packet::RevocationCode;
    matches!(
        packet.revocation_reason_code(),
        Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired)
    )
}

/// Returns the revokers that a direct signature names.
fn revokers_named(packet: &Packet) -> impl Iterator<Item = Fingerprint> {
    let direct = packet.typ() == Some(SignatureType::Key);
    let config = packet.config().filter(|_| direct);
    let subs = config.into_iter().flat_map(|c| c.hashed_subpackets());
    subs.filter_map(|sub| match &sub.data {
        SubpacketData::RevocationKey(key) => {
            let print: [u8; 20] = key.fingerprint.as_slice().try_into().ok()?;
            Some(Fingerprint::V4(print))
        }
        _ => None,
    })
}

fn made_at(packet: &Packet) -> Option<Time> {
    Some(Time(packet.created()?.as_secs().into()))
}

fn flags(packet: &Packet) -> Option<KeyFlags> {
    packet
        .config()?
        .hashed_subpackets()
        .find_map(|sub| match &sub.data {
            SubpacketData::KeyFlags(flags) => Some(flags.clone()),
            _ => None,
        })
}

fn expiry(packet: &Packet, born: Time) -> Option<Time> {
    let span = u64::from(packet.key_expiration_time()?.as_secs());
    // Zero stands for never (RFC 9580 section 5.2.3.13).
    (span > 0).then(|| born + Seconds(span))
}

/// Checks a key's life against the signature's date and the clock: a key that
/// has expired since could have been used by whoever found it, and dated back.
fn check_validity(
    born: Time,
    expires: Option<Time>,
    signature: &Signature,
    now: Time,
) -> Result<(), Fault> {
    if signature.created() < born {
        return Err(Fault::BeforeKey);
    }
    match expires {
        Some(end) if now >= end || signature.created() >= end => Err(Fault::KeyExpired),
        _ => Ok(()),
    }
}

fn key_time(key: &impl VerifyingKey) -> Time {
    Time(key.created_at().as_secs().into())
}

fn read_primary(mut body: &[u8]) -> Option<PublicKey> {
    let header = header(Tag::PublicKey, body)?;
    let key = PublicKey::try_from_reader(header, &mut body).ok()?;
    body.is_empty().then_some(key)
}

fn read_subkey(mut body: &[u8]) -> Option<(PublicSubkey, Fingerprint)> {
    let header = header(Tag::PublicSubkey, body)?;
    let key = PublicSubkey::try_from_reader(header, &mut body).ok()?;
    let print = signature::fingerprint(&key.fingerprint())?;
    body.is_empty().then_some((key, print))
}

fn read_user(mut body: &[u8]) -> Option<UserId> {
    let header = header(Tag::UserId, body)?;
    UserId::try_from_reader(header, &mut body).ok()
}

fn header(tag: Tag, body: &[u8]) -> Option<PacketHeader> {
    Some(PacketHeader::new_fixed(
        tag,
        u32::try_from(body.len()).ok()?,
    ))
}
