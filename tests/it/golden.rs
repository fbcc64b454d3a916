//! The bytes of stored records, fingerprints and idempotency record ids. They are on users' disks: a release that
//! writes or reads them differently would lose an earlier release's data. So these literals never change, and a new
//! format gets new ones.

use shardcart::domain::card::{Card, CardNumber};
use shardcart::domain::cart::{Cart, Line, Offer};
use shardcart::domain::delivery::{Delivery, DeliveryStatus};
use shardcart::domain::money::Money;
use shardcart::domain::order::{
    AgreedPrice, Facts, IdempotencyRef, OrderCounts, OrderEvent, OrderLine, OrderRecord, OrderStatus, OrderStep,
    OrderedItem, Origin, PaymentStatus, RecordedState, Status,
};
use shardcart::domain::product::{Details, Product};
use shardcart::domain::reservation::{Reservation, Return};
use shardcart::domain::time::Timestamp;
use shardcart::protocol;
use shardcart::protocol::{
    Basket, CartCommand, Command, DeliveryCommand, OrderCommand, Owner, PlaceOrder, ProductCommand, ValueCommand,
};
use shardcart::routing::{CustomerId, DeliveryId, ItemId, KvKey, OrderId, ProductId, Slot};
use shardcart::storage::codec::{self, IdempotencyRecord, OrderDeliveries, OrderEntry, SettlementRecord};
use shardcart::storage::{DigestId, RecordKind};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn money(hundredths: u64) -> Money {
    Money::from_hundredths(hundredths).unwrap()
}

fn order_id() -> OrderId {
    OrderId::new(Slot(1_234), 1_763_900_000_000, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)
}

fn delivery_id() -> DeliveryId {
    DeliveryId::new(Slot(1_234), 1_763_900_000_001, 0xfedc_ba98_7654_3210_fedc_ba98_7654_3210)
}

fn cart(checkout: Option<OrderId>) -> Cart {
    let offer = Offer { price: money(1_210), special_sale: true, sale_expiration: Some(time(1_900_000_000_000_000)) };
    let line = Line { item: ItemId::new("apple").unwrap(), offer, count: 3 };
    Cart { version: 300, updated_at: Some(time(1_763_900_000_000_000)), lines: vec![line], checkout }
}

#[test]
fn carts_values_and_products() {
    let pinned = cart(Some(order_id()));
    let price = money(1_299);
    let details =
        Details { title: "Té".into(), author: Some("A".into()), topic: Some("t".into()), has_isbn: true, price };
    let product = Product { held: 2, stock: 7, sold: 1, ..Product::new(details, 10, 300) };
    let found = [
        ("cart", codec::encode_cart(&cart(None))),
        ("pinned cart", codec::encode_cart(&pinned)),
        ("value", codec::encode_value(301, "héllo")),
        ("product", codec::encode_product(&product)),
    ];
    check(&found, &CARTS_VALUES_AND_PRODUCTS);
    assert_eq!(codec::decode_cart(&found[1].1).unwrap(), pinned);
    assert_eq!(codec::decode_product(&found[3].1).unwrap(), product);
}

#[test]
fn deliveries_reservations_settlements_and_first_answers() {
    let delivery = Delivery {
        version: 70_000,
        id: delivery_id(),
        order: order_id(),
        address: "1 Main St".into(),
        courier: "local".into(),
        status: DeliveryStatus::Dispatched,
        updated_at: time(1_763_900_000_000_002),
    };
    let reservation = Reservation {
        version: 5,
        order: order_id(),
        product: ProductId::new("9780143127550").unwrap(),
        incarnation: 4,
        count: 2,
        price: money(1_299),
        has_isbn: true,
        held_at: time(1_763_900_000_000_003),
    };
    let settlement = SettlementRecord { version: 6, expires_at: time(1_763_986_400_000_000), claimed: true };
    let answer = IdempotencyRecord {
        version: 7,
        expires_at: time(1_763_986_400_000_001),
        is_customers: false,
        fingerprint: (0..32).collect(),
        reply: vec![1, 2, 3],
    };
    let of_customer = IdempotencyRecord { is_customers: true, ..answer.clone() };
    let found = [
        ("delivery", codec::encode_delivery(&delivery)),
        ("reservation", codec::encode_reservation(&reservation)),
        ("claimed settlement", codec::encode_settlement(&settlement)),
        ("released settlement", codec::encode_settlement(&SettlementRecord { claimed: false, ..settlement })),
        ("first answer", codec::encode_idempotency(&answer)),
        ("first answer of a customer", codec::encode_idempotency(&of_customer)),
    ];
    check(&found, &DELIVERIES_RESERVATIONS_SETTLEMENTS_AND_FIRST_ANSWERS);
    assert_eq!(codec::decode_delivery(&found[0].1).unwrap(), delivery);
    assert_eq!(codec::decode_reservation(&found[1].1).unwrap(), reservation);
    assert_eq!(codec::decode_settlement(&found[2].1).unwrap(), settlement);
    assert_eq!(codec::decode_idempotency(&found[4].1).unwrap(), answer);
    assert_eq!(codec::decode_idempotency(&found[5].1).unwrap(), of_customer);
}

/// An order's state without a delivery.
fn state(status: Status<'_>, payment: PaymentStatus, transaction: bool) -> RecordedState<'_> {
    RecordedState { status, payment, transaction: transaction.then_some("sim-1"), delivery: None }
}

/// The facts of a customer's order, with a line for each kind of price, and with a card if a payment was asked for.
fn facts(state: &RecordedState<'_>, events: &[OrderEvent]) -> Facts {
    let is_pending = state.status == Status::Pending;
    let line = |id: &str, agreed, price| OrderLine {
        product: ProductId::new(id).unwrap(),
        count: 2,
        agreed,
        price: (!is_pending).then(|| money(price)),
        has_isbn: id.len() == 13,
        incarnation: None,
    };
    let step =
        |(at, event): (usize, &OrderEvent)| OrderStep { event: *event, at: time(1_763_900_000_000_000 + at as i64) };
    Facts {
        version: 1_000,
        id: order_id(),
        origin: Origin::Checkout,
        customer: Some(CustomerId::new("Zoë").unwrap()),
        lines: vec![
            line("9780143127550", AgreedPrice::Catalog, 1_299),
            line("apple", AgreedPrice::Offer(money(500)), 500),
            line("pear", AgreedPrice::ExpiredOffer(money(700)), 800),
        ],
        address: Some("1 Main St".into()),
        accepts_price_changes: true,
        card: (state.payment != PaymentStatus::None).then(|| CardNumber::new("4242424242424242").unwrap().last_four()),
        idempotency: Some(IdempotencyRef { digest: [7; 16], fingerprint: (0..32).collect() }),
        steps: events.iter().enumerate().map(step).collect(),
    }
}

fn order(state: RecordedState<'_>, events: &[OrderEvent]) -> OrderRecord {
    OrderRecord::restore(facts(&state, events), state).expect("a state that was written")
}

#[test]
fn counts_of_orders() {
    let counts = OrderCounts { created: 300, refused: 7, cancelled: 1 };
    let bytes = codec::encode_order_counts(counts);
    assert_eq!(hex(&bytes), "01fb2c010701");
    assert_eq!(codec::decode_order_counts(&bytes), Ok(counts));
}

/// Every combination of states that any release has written, open orders before closed ones.
#[test]
fn orders() {
    use OrderEvent as E;
    use PaymentStatus as P;
    let refused = Status::Refused { reason: "out of stock" };
    let delivered = |state| RecordedState { delivery: Some(delivery_id()), ..state };
    let pending = [E::Pending, E::Held];
    let created = [E::Pending, E::Held, E::Authorised, E::Created];
    let captured = [&created[..], &[E::Claimed, E::Captured]].concat();
    let failed = [&created[..], &[E::Claimed, E::CaptureFailed]].concat();
    let voided = [E::Pending, E::Resumed, E::Voided, E::Refused];
    let released = [&voided[..], &[E::Released]].concat();
    let orders = [
        ("pending, no card", order(state(Status::Pending, P::None, false), &pending[..1])),
        ("pending, card", order(state(Status::Pending, P::Pending, false), &pending)),
        ("created, free", order(delivered(state(Status::Created, P::None, false)), &created)),
        ("created, authorised", order(delivered(state(Status::Created, P::Authorised, true)), &created)),
        ("refused, not asked", order(state(refused, P::None, false), &voided)),
        ("refused, declined", order(state(refused, P::Refused, false), &voided)),
        ("refused, voided", order(state(refused, P::Voided, false), &voided)),
        ("refused, voided transaction", order(state(refused, P::Voided, true), &voided)),
        ("closed: created, captured", order(delivered(state(Status::Created, P::Captured, true)), &captured)),
        ("closed: created, capture failed", order(state(Status::Created, P::CaptureFailed, true), &failed)),
        ("closed: refused", order(state(refused, P::Voided, false), &released)),
    ];
    let encoded: Vec<_> = orders.iter().map(|(name, order)| (*name, codec::encode_order(order))).collect();
    check(&encoded, &ORDERS);
    for ((name, order), (_, bytes)) in orders.iter().zip(&encoded) {
        assert_eq!(&codec::decode_order(bytes).unwrap(), order, "{name}");
    }
}

/// Orders with what the first format has no room for: the products' incarnations, and the key of a cancellation.
#[test]
fn orders_of_the_second_format() {
    use OrderEvent as E;
    use PaymentStatus as P;
    let key = IdempotencyRef { digest: [9; 16], fingerprint: (32..64).collect() };
    let known = |status, payment, events: &[E]| {
        let state = state(status, payment, true);
        let mut facts = facts(&state, events);
        facts.lines.iter_mut().zip([4, 5]).for_each(|(line, incarnation)| line.incarnation = Some(incarnation));
        OrderRecord::restore(facts, state).expect("a state that was written")
    };
    let cancelled = Status::Cancelled { key: Some(&key) };
    let events = [E::Pending, E::Held, E::Authorised, E::Created, E::Captured, E::Cancelled, E::Refunded, E::Returned];
    let orders = [
        ("created, captured", known(Status::Created, P::Captured, &events[..5])),
        ("cancelled, captured", known(cancelled, P::Captured, &events[..6])),
        ("cancelled, refunded", known(cancelled, P::Refunded, &events)),
        (
            "cancelled, without key or incarnations",
            order(state(Status::Cancelled { key: None }, P::Voided, true), &events),
        ),
        ("cancelled, refund failed", known(cancelled, P::RefundFailed, &[E::Cancelled, E::RefundFailed])),
    ];
    let encoded: Vec<_> = orders.iter().map(|(name, order)| (*name, codec::encode_order(order))).collect();
    check(&encoded, &ORDERS_OF_THE_SECOND_FORMAT);
    for ((name, order), (_, bytes)) in orders.iter().zip(&encoded) {
        assert_eq!(&codec::decode_order(bytes).unwrap(), order, "{name}");
    }
}

#[test]
fn places_in_lists_deliveries_of_orders_and_returns() {
    let entry = OrderEntry { version: 300, status: OrderStatus::Cancelled, payment: PaymentStatus::Refunded };
    let deliveries = OrderDeliveries { version: 301, deliveries: vec![delivery_id()] };
    let product = ProductId::new("9780143127550").unwrap();
    let returned = Return { version: 302, order: order_id(), product, closed_at: None };
    let closed = Return { closed_at: Some(time(1_763_900_000_000_004)), ..returned.clone() };
    let found = [
        ("place of an order", codec::encode_order_entry(&entry)),
        ("deliveries of an order", codec::encode_order_deliveries(&deliveries)),
        ("return", codec::encode_return(&returned)),
        ("closed return", codec::encode_return(&closed)),
    ];
    check(&found, &PLACES_DELIVERIES_AND_RETURNS);
    assert_eq!(codec::decode_order_entry(&found[0].1).unwrap(), entry);
    assert_eq!(codec::decode_order_deliveries(&found[1].1).unwrap(), deliveries);
    assert_eq!(codec::decode_return(&found[2].1).unwrap(), returned);
    assert_eq!(codec::decode_return(&found[3].1).unwrap(), closed);
}

/// Orders of each origin; those of `/buy` and `/purchase` name no customer.
#[test]
fn origins() {
    let of = |origin, customer: Option<&str>| {
        let state = state(Status::Created, PaymentStatus::None, false);
        let facts = Facts {
            origin,
            customer: customer.map(|id| CustomerId::new(id).unwrap()),
            address: None,
            idempotency: None,
            accepts_price_changes: false,
            ..facts(&state, &[OrderEvent::Pending, OrderEvent::Created])
        };
        OrderRecord::restore(facts, state).expect("a state that was written")
    };
    let found = [
        ("purchase", codec::encode_order(&of(Origin::Purchase, None))),
        ("buy", codec::encode_order(&of(Origin::Buy, None))),
        ("books", codec::encode_order(&of(Origin::Books, Some("dave")))),
    ];
    check(&found, &ORIGINS);
}

/// The fingerprints of requests. A retry after an upgrade must have the fingerprint of the first request.
#[test]
fn fingerprints() {
    let customer = CustomerId::new("alice").unwrap();
    let item = ItemId::new("apple").unwrap();
    let product = ProductId::new("2").unwrap();
    let offer = Offer { price: money(1_210), special_sale: true, sale_expiration: Some(time(5)) };
    let card = || Some(Card::new("4242424242424242", Some("12/30".into())).unwrap());
    let place = |basket, card| Command::Order(OrderCommand::Place(PlaceOrder { basket, card }));
    let cart_command = |command| Command::Cart { customer: customer.clone(), command };
    let line = OrderedItem { product: product.clone(), count: 3 };
    let cart =
        Basket::Cart { customer: customer.clone(), address: Some("1 Main St".into()), accepts_price_changes: true };
    let books = Basket::Books { customer: customer.clone(), lines: vec![line.clone()] };
    let found = [
        ("add line", cart_command(CartCommand::AddLine { item: item.clone(), offer, count: 2 })),
        ("set count", cart_command(CartCommand::SetCount { item, count: 0 })),
        ("take cart", cart_command(CartCommand::Take)),
        (
            "put value",
            Command::Value {
                key: KvKey::new("greeting").unwrap(),
                command: ValueCommand::Put { text: "héllo".into() },
            },
        ),
        ("replenish", Command::Product { product: product.clone(), command: ProductCommand::Replenish { count: 10 } }),
        ("purchase", place(Basket::Purchase(product), None)),
        ("buy", place(Basket::Buy(line), card())),
        ("books", place(books, card())),
        ("checkout", place(cart, card())),
        (
            "create delivery",
            Command::Delivery(DeliveryCommand::Create {
                order: order_id(),
                address: "1 Main St".into(),
                courier: "local".into(),
            }),
        ),
        ("cancel order", Command::Order(OrderCommand::Cancel(order_id()))),
        (
            "move delivery",
            Command::Delivery(DeliveryCommand::Move { delivery: delivery_id(), status: DeliveryStatus::Delivered }),
        ),
    ];
    let found: Vec<_> = found.iter().map(|(name, command)| (*name, protocol::fingerprint(command))).collect();
    check(&found, &FINGERPRINTS);
}

/// The ids of idempotency records, one for each kind of owner, and of reservations.
#[test]
fn digests() {
    let of = |owner: Owner<'_>| {
        let (kind, id) = owner.scope();
        DigestId::new(kind, id, b"key-1")
    };
    let found = [
        ("customer", of(Owner::Customer(&CustomerId::new("alice").unwrap()))),
        ("product", of(Owner::Product(&ProductId::new("2").unwrap()))),
        ("order", of(Owner::Order(order_id()))),
        ("delivery", of(Owner::Delivery(delivery_id()))),
        ("key", of(Owner::Key(&KvKey::new("greeting").unwrap()))),
        ("reservation", DigestId::new(RecordKind::Reservation, order_id().as_bytes(), b"2")),
    ];
    let found: Vec<_> = found.iter().map(|(name, id)| (*name, id.0.to_vec())).collect();
    check(&found, &DIGESTS);
}

/// Compares names and bytes with the expected ones, and shows all differences at once.
fn check(found: &[(&str, Vec<u8>)], expected: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(name, bytes)| format!("(\"{name}\", \"{}\"),", hex(bytes))).collect();
    let expected: Vec<_> = expected.iter().map(|(name, hex)| format!("(\"{name}\", \"{hex}\"),")).collect();
    assert_eq!(
        found.join("\n"),
        expected.join("\n"),
        "bytes on disk have changed; now they are:\n{}",
        found.join("\n")
    );
}

#[rustfmt::skip]
const CARTS_VALUES_AND_PRODUCTS: [(&str, &str); 4] = [
    ("cart", "01fb2c01fd00b0d6f183880c0001056170706c65fbba04030101fd0080257214800d00"),
    ("pinned cart", "02fb2c01fd00b0d6f183880c0001056170706c65fbba04030101fd0080257214800d0001019ab0a207008def84d20123456789ab"),
    ("value", "01fb2d010668c3a96c6c6f"),
    ("product", "01fb2c01fb2c010354c3a901014101017401fb13050702010a"),
];
#[rustfmt::skip]
const DELIVERIES_RESERVATIONS_SETTLEMENTS_AND_FIRST_ANSWERS: [(&str, &str); 6] = [
    ("delivery", "01fc70110100019ab0a20701821084d2fedcba987654019ab0a207008def84d20123456789ab0931204d61696e205374056c6f63616c01fd04b0d6f183880c00"),
    ("reservation", "0105019ab0a207008def84d20123456789ab0d393738303134333132373535300402fb130501fd06b0d6f183880c00"),
    ("claimed settlement", "0106fd0070852dac880c0001"),
    ("released settlement", "0106fd0070852dac880c0000"),
    ("first answer", "0107fd0270852dac880c0020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010203"),
    ("first answer of a customer", "0207fd0270852dac880c0020000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010203"),
];
#[rustfmt::skip]
const ORDERS: [(&str, &str); 11] = [
    ("pending, no card", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d3937383031343331323735353002000001056170706c650201fbf401000004706561720202fbbc02000000000000010931204d61696e20537400010100fd00b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("pending, card", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d3937383031343331323735353002000001056170706c650201fbf401000004706561720202fbbc020000000100010434323432010931204d61696e20537400010200fd00b0d6f183880c0001fd02b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("created, free", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb20030001000000010931204d61696e20537401019ab0a20701821084d2fedcba987654010400fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("created, authorised", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000102010573696d2d31010434323432010931204d61696e20537401019ab0a20701821084d2fedcba987654010400fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("refused, not asked", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300020c6f7574206f662073746f636b000000010931204d61696e20537400010400fd00b0d6f183880c0005fd02b0d6f183880c000afd04b0d6f183880c0004fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("refused, declined", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300020c6f7574206f662073746f636b0500010434323432010931204d61696e20537400010400fd00b0d6f183880c0005fd02b0d6f183880c000afd04b0d6f183880c0004fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("refused, voided", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300020c6f7574206f662073746f636b0600010434323432010931204d61696e20537400010400fd00b0d6f183880c0005fd02b0d6f183880c000afd04b0d6f183880c0004fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("refused, voided transaction", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300020c6f7574206f662073746f636b06010573696d2d31010434323432010931204d61696e20537400010400fd00b0d6f183880c0005fd02b0d6f183880c000afd04b0d6f183880c0004fd06b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("closed: created, captured", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000103010573696d2d31010434323432010931204d61696e20537401019ab0a20701821084d2fedcba987654010600fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0006fd08b0d6f183880c0008fd0ab0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("closed: created, capture failed", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000104010573696d2d31010434323432010931204d61696e20537400010600fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0006fd08b0d6f183880c0009fd0ab0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    ("closed: refused", "01fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300020c6f7574206f662073746f636b0600010434323432010931204d61696e20537400010500fd00b0d6f183880c0005fd02b0d6f183880c000afd04b0d6f183880c0004fd06b0d6f183880c0007fd08b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
];
#[rustfmt::skip]
const ORDERS_OF_THE_SECOND_FORMAT: [(&str, &str); 5] = [
    ("created, captured", "02fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000103010573696d2d31010434323432010931204d61696e20537400010500fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0008fd08b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010401050000"),
    ("cancelled, captured", "02fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000103010573696d2d31010434323432010931204d61696e20537400010600fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0008fd08b0d6f183880c000bfd0ab0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010401050001010909090909090909090909090909090920202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"),
    ("cancelled, refunded", "02fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000107010573696d2d31010434323432010931204d61696e20537400010800fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0008fd08b0d6f183880c000bfd0ab0d6f183880c000dfd0cb0d6f183880c000cfd0eb0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010401050001010909090909090909090909090909090920202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"),
    ("cancelled, without key or incarnations", "02fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000106010573696d2d31010434323432010931204d61696e20537400010800fd00b0d6f183880c0001fd02b0d6f183880c0002fd04b0d6f183880c0003fd06b0d6f183880c0008fd08b0d6f183880c000bfd0ab0d6f183880c000dfd0cb0d6f183880c000cfd0eb0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f030000000100"),
    ("cancelled, refund failed", "02fbe803019ab0a207008def84d20123456789ab0301045a6fc3ab030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb2003000108010573696d2d31010434323432010931204d61696e2053740001020bfd00b0d6f183880c000efd02b0d6f183880c00010707070707070707070707070707070720000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03010401050001010909090909090909090909090909090920202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"),
];
#[rustfmt::skip]
const PLACES_DELIVERIES_AND_RETURNS: [(&str, &str); 4] = [
    ("place of an order", "01fb2c010307"),
    ("deliveries of an order", "01fb2d0101019ab0a20701821084d2fedcba987654"),
    ("return", "01fb2e01019ab0a207008def84d20123456789ab0d3937383031343331323735353000"),
    ("closed return", "01fb2e01019ab0a207008def84d20123456789ab0d3937383031343331323735353001fd08b0d6f183880c00"),
];
#[rustfmt::skip]
const ORIGINS: [(&str, &str); 3] = [
    ("purchase", "01fbe803019ab0a207008def84d20123456789ab0000030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300010000000000000200fd00b0d6f183880c0003fd02b0d6f183880c0000"),
    ("buy", "01fbe803019ab0a207008def84d20123456789ab0100030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300010000000000000200fd00b0d6f183880c0003fd02b0d6f183880c0000"),
    ("books", "01fbe803019ab0a207008def84d20123456789ab02010464617665030d39373830313433313237353530020001fb130501056170706c650201fbf40101fbf4010004706561720202fbbc0201fb200300010000000000000200fd00b0d6f183880c0003fd02b0d6f183880c0000"),
];
#[rustfmt::skip]
const FINGERPRINTS: [(&str, &str); 12] = [
    ("add line", "b1bcbd1de6506e925213ff90c8d6bf8ddc5bb196553f8500d57d43fa1cea461f"),
    ("set count", "50517e0ce874b491da73d94f935deb98b80943e35a17ce8bb8aa52582b7da4ef"),
    ("take cart", "80801c9be4869c9379b0bb3793eb3cbc0126e388ab17e8d8299136ddb62c2f85"),
    ("put value", "528c1a6766b1edad4d672763a6fc1b7d6b1a1e7203fc3d6497efb27a21024f84"),
    ("replenish", "9c7727bde8fd22c0ba7e06586b191f684cd038ce5829df7fe0f1bcbcd4655f8c"),
    ("purchase", "e930dbf4810cae626528f4533993f777b55a7142bf5c369a26a1d143f693fe5a"),
    ("buy", "7578d629c8ca589f6c9514dfd55b2d55781d2a232025c68e00459c5e9c4543e9"),
    ("books", "3b2c3617bb36f470ef6624cfe791be17636855d4713595918fdc575954296a48"),
    ("checkout", "faa27d4b10e227409d6408512bb763430535acfd26977e367492a669b19c6a6c"),
    ("create delivery", "eda3bfef98eefd51c2d510fe56f786bfbde26916566d5efee500c82f62e3f82f"),
    ("cancel order", "72063b586ebb6c07f4c6e915e2fcf3264a55beecc8b3a6c754af5084e759c693"),
    ("move delivery", "1291758e27728f7002ebd9acbf0cae87a819914bc3b7d9e17e16f7d46cc98a73"),
];
#[rustfmt::skip]
const DIGESTS: [(&str, &str); 6] = [
    ("customer", "12f8487862f58c6beb9201a8fbf4926a"),
    ("product", "c27225dd186e9a8ba9058a75478f07fc"),
    ("order", "f9768cf2b49432fe043e2c7ec633ff59"),
    ("delivery", "ed0a6df0be00b807a1acf33a24b6ea6a"),
    ("key", "7794c001a41471aebf85a2c15983a142"),
    ("reservation", "8b9467f2cc6a111b46ae58144db193d3"),
];
