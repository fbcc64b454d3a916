//! Carts as the service keeps them in Redis, and as it answers with them.
//!
//! The rules for prices, times and ids and the JSON are shardcart's own code, so that both answer
//! with the same bytes and neither is ahead by its JSON: what is compared is the way to the data.

use serde::Deserialize;
use serde_json::value::RawValue;
use shardcart::domain::cart::{Cart, Line, MAX_COUNT, Offer};
use shardcart::domain::money::Money;
use shardcart::domain::time::Timestamp;
use shardcart::json::writer::Json;
use shardcart::routing::ItemId;

use crate::harness::Result;

/// Bytes that a cart takes in JSON beside its lines.
const CART_BYTES: usize = 192;
/// Bytes that most lines take.
const LINE_BYTES: usize = 160;

/// The body of an addition.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    offered_price: &'a RawValue,
    item_count: u32,
    #[serde(default)]
    special_sale: Option<bool>,
    sale_expiration: Option<String>,
}

/// What is added.
pub struct Addition {
    /// How many.
    pub count: u32,
    offer: Offer,
}

impl Addition {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not one, or a value is out of its range.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let body: Body<'_> = serde_json::from_slice(body)?;
        let price = body.offered_price.get();
        let price = price.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(price);
        if !(1..=MAX_COUNT).contains(&body.item_count) {
            return Err(format!("itemCount must be 1 to {MAX_COUNT}").into());
        }
        let offer = Offer {
            price: Money::parse(price).map_err(|invalid| format!("offeredPrice {invalid}"))?,
            special_sale: body.special_sale.unwrap_or(false),
            sale_expiration: match body.sale_expiration {
                Some(time) => Some(Timestamp::parse(&time).map_err(|invalid| format!("saleExpiration {invalid}"))?),
                None => None,
            },
        };
        Ok(Addition { count: body.item_count, offer })
    }

    /// Its terms as a line's value has them: `price sale expiry`.
    pub fn terms(&self) -> String {
        let Offer { price, special_sale, sale_expiration } = &self.offer;
        let sale = u8::from(*special_sale);
        match sale_expiration {
            Some(end) => format!("{} {sale} {}", price.hundredths(), end.micros()),
            None => format!("{} {sale} -", price.hundredths()),
        }
    }
}

/// A cart from the fields and values of its hash; an absent one has none.
///
/// # Errors
/// When one of them is not what the script writes.
pub fn read(fields: Vec<(String, String)>) -> Result<Cart> {
    let mut cart = Cart::default();
    let mut lines = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        if field.is_empty() {
            let (version, time) = value.split_once(' ').ok_or("a cart without a time")?;
            cart.version = version.parse()?;
            cart.updated_at = Some(read_time(time)?);
        } else {
            lines.push(read_line(field, &value)?);
        }
    }
    lines.sort_unstable_by_key(|(added, _)| *added);
    cart.lines = lines.into_iter().map(|(_, line)| line).collect();
    Ok(cart)
}

/// A line and the version that brought it.
fn read_line(item: String, value: &str) -> Result<(u64, Line)> {
    let mut parts = value.split(' ');
    let mut part = || parts.next().ok_or("a line without all its parts");
    let (count, added, price, sale, end) = (part()?, part()?, part()?, part()?, part()?);
    let offer = Offer {
        price: Money::from_hundredths(price.parse()?).map_err(|invalid| invalid.to_string())?,
        special_sale: sale == "1",
        sale_expiration: if end == "-" { None } else { Some(read_time(end)?) },
    };
    let item = ItemId::new(item).map_err(|invalid| invalid.to_string())?;
    Ok((added.parse()?, Line { item, offer, count: count.parse()? }))
}

fn read_time(micros: &str) -> Result<Timestamp> {
    Ok(Timestamp::from_micros(micros.parse()?).map_err(|invalid| invalid.to_string())?)
}

/// The body of an answer with a cart.
pub fn json(customer: &str, cart: &Cart, now: Timestamp) -> Vec<u8> {
    let mut json = Json::with_capacity(CART_BYTES + LINE_BYTES * cart.lines.len());
    json.raw(r#"{"customerId":"#).string(customer).raw(r#","version":"#).integer(cart.version);
    json.raw(r#","items":["#);
    for (index, Line { item, offer, count }) in cart.lines.iter().enumerate() {
        json.raw(if index == 0 { r#"{"itemId":"# } else { r#",{"itemId":"# }).string(item.as_str());
        json.raw(r#","offeredPrice":"#).money(offer.price).raw(r#","itemCount":"#).integer(u64::from(*count));
        json.raw(r#","specialSale":"#).flag(offer.special_sale);
        json.raw(r#","saleExpiration":"#).time(offer.sale_expiration);
        json.raw(r#","saleActive":"#).flag(offer.is_sale_active(now)).raw("}");
    }
    json.raw(r#"],"itemTotal":"#).integer(cart.item_total()).raw(r#","total":"#).total(cart.total());
    json.raw(r#","updatedAt":"#).time(cart.updated_at).raw("}");
    json.into_bytes()
}
