//! Encrypts the numbers of cards between the processes of a store, so that neither the buffers of their connections nor
//! the network between them hold a number.
//!
//! Both sides of a session make a new X25519 key (RFC 7748) for its Hello, and derive the session's key from what they
//! agree on by HKDF-SHA-256 (RFC 5869). It encrypts each number by ChaCha20-Poly1305 (RFC 8439), with the count of the
//! numbers before it as the nonce. Neither side proves who it is, so this holds against those who read, now or later,
//! and not against somebody who takes the place of a shard.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::SystemRandom;
use zeroize::{Zeroize as _, Zeroizing};

use super::proto;
use crate::error::{Error, Result};
use proto::request::Command as Message;

/// What the key is for, as HKDF's info.
const INFO: &[u8] = b"shardcart card number";

/// One side of an agreement on a key.
pub struct KeyOffer {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
}

/// The key of a session, which encrypts and decrypts the numbers of cards.
pub struct CardKey {
    key: LessSafeKey,
    /// The count of the numbers that were encrypted.
    sealed: u64,
}

impl KeyOffer {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`Error::Internal`] when the operating system has no random numbers.
    pub fn new() -> Result<Self> {
        let fault = |Unspecified| Error::Internal("cannot make a key: no random numbers".into());
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(fault)?;
        let public = private.compute_public_key().map_err(fault)?.as_ref().to_vec();
        Ok(KeyOffer { private, public })
    }

    /// The public half, which the Hello carries.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The key of a session that the owner of this offer has opened, with the answer of the shard; `None` when that has
    /// no usable key.
    pub fn agree_with_shard(self, theirs: &[u8]) -> Option<CardKey> {
        let salt = [&self.public, theirs].concat();
        self.agree(theirs, &salt)
    }

    /// The key of a session that a client has opened with the Hello that has `theirs`; `None` when that is no usable key.
    pub fn agree_with_client(self, theirs: &[u8]) -> Option<CardKey> {
        let salt = [theirs, &self.public].concat();
        self.agree(theirs, &salt)
    }

    fn agree(self, theirs: &[u8], salt: &[u8]) -> Option<CardKey> {
        let derive = |secret: &[u8]| {
            let derived = Salt::new(HKDF_SHA256, salt).extract(secret);
            derived.expand(&[INFO], &CHACHA20_POLY1305).map(UnboundKey::from)
        };
        let key = agree_ephemeral(self.private, &UnparsedPublicKey::new(&X25519, theirs), derive).ok()?.ok()?;
        Some(CardKey { key: LessSafeKey::new(key), sealed: 0 })
    }
}

impl CardKey {
    /// Encrypts the number of the card in a request, if it has one.
    pub fn seal(&mut self, request: &mut proto::Request) {
        let Some(card) = card_of(request).filter(|card| !card.number.is_empty()) else { return };
        let mut text = Zeroizing::new(card.number.as_bytes().to_vec());
        let nonce = nonce(self.sealed);
        // An error means that the number is gigabytes long. Then it travels as it is, and the shard refuses it.
        let Ok(tag) = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text) else { return };
        card.number.zeroize();
        card.sealed_number =
            Some(proto::SealedNumber { nonce: self.sealed, text: text.to_vec(), tag: tag.as_ref().to_vec() });
        self.sealed += 1;
    }

    /// Decrypts the number of the card in a request, if it has one that is encrypted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it was encrypted with another key, or changed since.
    pub fn open(&self, request: &mut proto::Request) -> Result<()> {
        let Some(card) = card_of(request) else { return Ok(()) };
        let Some(proto::SealedNumber { nonce: count, text, tag }) = card.sealed_number.take() else { return Ok(()) };
        let refusal = || Error::invalid("card", "its number cannot be decrypted");
        let tag = tag.as_slice().try_into().map_err(|_| refusal())?;
        let mut text = Zeroizing::new(text);
        let number = self.key.open_in_place_separate_tag(nonce(count), Aad::empty(), tag, &mut text, 0..);
        let number = number.ok().and_then(|number| std::str::from_utf8(number).ok()).ok_or_else(refusal)?;
        number.clone_into(&mut card.number);
        Ok(())
    }
}

fn nonce(count: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..size_of::<u64>()].copy_from_slice(&count.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn card_of(request: &mut proto::Request) -> Option<&mut proto::Card> {
    match &mut request.command {
        Some(Message::PlaceOrder(proto::PlaceOrder { card, .. })) => card.as_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "4242424242421234";

    fn keys() -> (CardKey, CardKey) {
        let [client, shard] = [KeyOffer::new().unwrap(), KeyOffer::new().unwrap()];
        let [clients, shards] = [client.public().to_vec(), shard.public().to_vec()];
        (client.agree_with_shard(&shards).unwrap(), shard.agree_with_client(&clients).unwrap())
    }

    fn request(card: Option<proto::Card>) -> proto::Request {
        let command = Some(Message::PlaceOrder(proto::PlaceOrder { basket: None, card }));
        proto::Request { command, ..proto::Request::default() }
    }

    fn with_number(number: &str) -> proto::Request {
        request(Some(proto::Card { number: number.to_owned(), expiry: None, sealed_number: None }))
    }

    #[test]
    fn a_number_travels_encrypted_and_the_same_one_never_alike() {
        let (mut clients, shards) = keys();
        let mut texts = Vec::new();
        for _ in 0..3 {
            let mut sent = with_number(NUMBER);
            clients.seal(&mut sent);
            let bytes = prost::Message::encode_to_vec(&sent);
            assert!(memchr::memmem::find(&bytes, NUMBER.as_bytes()).is_none());
            texts.push(card_of(&mut sent).unwrap().sealed_number.clone().unwrap().text);
            shards.open(&mut sent).unwrap();
            assert_eq!(sent, with_number(NUMBER));
        }
        assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2]);
    }

    #[test]
    fn what_has_no_encrypted_number_stays_as_it_is() {
        let (mut clients, shards) = keys();
        for message in [proto::Request::default(), request(None), with_number("")] {
            let mut passed = message.clone();
            clients.seal(&mut passed);
            shards.open(&mut passed).unwrap();
            assert_eq!(passed, message);
        }
        let mut plain = with_number(NUMBER);
        shards.open(&mut plain).unwrap();
        assert_eq!(plain, with_number(NUMBER), "a client need not encrypt it");
    }

    #[test]
    fn a_number_that_was_changed_or_encrypted_with_another_key_is_refused() {
        let (mut clients, shards) = keys();
        let mut sealed = with_number(NUMBER);
        clients.seal(&mut sealed);
        let (_, others) = keys();
        others.open(&mut sealed.clone()).unwrap_err();
        let changes: [fn(&mut proto::SealedNumber); 4] = [
            |sealed| sealed.nonce += 1,
            |sealed| sealed.text[0] ^= 1,
            |sealed| sealed.tag.truncate(8),
            |sealed| sealed.text.clear(),
        ];
        for change in changes {
            let mut changed = sealed.clone();
            change(card_of(&mut changed).unwrap().sealed_number.as_mut().unwrap());
            shards.open(&mut changed).unwrap_err();
        }
    }

    #[test]
    fn a_key_of_another_length_or_of_nothing_but_zeros_is_not_agreed_on() {
        for theirs in [&[][..], &[7; 31], &[7; 33], &[0; 32]] {
            assert!(KeyOffer::new().unwrap().agree_with_client(theirs).is_none(), "{theirs:?}");
        }
    }
}
