//! One simulated shopper: fills a cart, orders, follows its deliveries, and checks each answer against what was
//! acknowledged before. Its cart and its orders are its own, so it knows exactly what the store must have.

use std::collections::VecDeque;

use fastrand::Rng;

use super::action::{Action, Fact, Question, Refusal, Store};
use super::cart::{Change, Difference, KnownCart, Line, Lines};
use super::floor::{Floor, Resolved};
use super::order::KnownOrder;
use super::products;
use super::stock::Movement;
use crate::domain::money::Money;

/// The most lines of a cart.
const MAX_LINES: usize = 8;
/// The most pieces that are added at a time.
const MAX_PIECES: u32 = 3;
/// The most orders that are remembered. The oldest is read once more before it is forgotten.
const MAX_ORDERS: usize = 32;
/// The changes after which a shopper goes on as another customer: a customer has a limited number of idempotency keys.
const CHANGES_AS_ONE_CUSTOMER: u32 = 1_000;
/// One in so many steps ends with a look at the cart and at a product.
const LOOK_EVERY: u32 = 8;
/// The prices that shoppers offer, in hundredths.
const PRICES: std::ops::Range<u64> = 100..5_000;

/// A shopper.
pub struct Shopper {
    number: usize,
    generation: u32,
    changes: u32,
    random: Rng,
    cart: KnownCart,
    orders: VecDeque<KnownOrder>,
}

impl Shopper {
    /// Makes a shopper with an empty cart. The seed decides what it wants.
    pub fn new(number: usize, seed: u64) -> Self {
        let random = Rng::with_seed(seed.wrapping_add(number as u64));
        Shopper { number, generation: 0, changes: 0, random, cart: KnownCart::default(), orders: VecDeque::new() }
    }

    fn customer(&self) -> String {
        format!("sim-customer-{}-{}", self.number, self.generation)
    }

    /// Makes one change, and looks at what it led to now and then.
    pub async fn step<S: Store>(&mut self, floor: &Floor<S>) {
        if self.changes >= CHANGES_AS_ONE_CUSTOMER {
            self.become_another(floor).await;
            return;
        }
        self.changes += 1;
        let permit = floor.orders.try_acquire().ok();
        let (action, movement) = self.choose(floor, permit.is_some());
        // What waits for the payment gateway holds the permit until it has its outcome.
        let waits = matches!(action, Action::CheckOut { .. } | Action::Cancel { .. });
        let _permit = permit.filter(|_| waits);
        self.act(floor, action, movement).await;
        if self.changes.is_multiple_of(LOOK_EVERY) {
            self.check_cart(floor).await;
            if let Some(product) = self.random.choice(floor.stock.present()) {
                let drift = floor.check_product(product, false).await;
                note_drift(floor, product, drift.unwrap_or_default());
            }
        }
    }

    /// Checks everything that this shopper knows. False when the store did not answer for all of it.
    pub async fn check_all<S: Store>(&mut self, floor: &Floor<S>) -> bool {
        let mut is_checked = self.check_cart(floor).await.is_some();
        for order in &self.orders {
            match order.check(floor).await {
                Some(difference) => floor.tally.note(difference, || order.describe()),
                None => is_checked = false,
            }
        }
        is_checked
    }

    /// Leaves an empty cart behind and goes on as another customer. Nothing is forgotten that could not be checked.
    async fn become_another<S: Store>(&mut self, floor: &Floor<S>) {
        if !self.cart.lines().is_empty() {
            self.act(floor, Action::Empty { customer: self.customer() }, None).await;
        }
        if self.check_all(floor).await && self.cart.lines().is_empty() {
            self.generation += 1;
            self.changes = 0;
            self.cart = KnownCart::default();
            self.orders.clear();
        }
    }

    /// Chooses the next change, and the pieces that it moves.
    fn choose<S>(&mut self, floor: &Floor<S>, may_order: bool) -> (Action, Option<Movement>) {
        let present = floor.stock.present();
        let Some(product) = self.random.choice(&present).copied() else {
            return (self.add(products::id(0)), None);
        };
        let is_there = |item: &String| products::number(item).is_some_and(|number| present.contains(&number));
        if let Some(item) = self.cart.lines().keys().find(|item| !is_there(item)).cloned() {
            // What the store has lost cannot be ordered.
            return (Action::Remove { customer: self.customer(), item }, None);
        }
        let known = floor.stock.known(product);
        if products::is_low(product, known.stock()) && known.may_be_received == 0 {
            let quantity = products::replenishment(product);
            let action = Action::Replenish { product: products::id(product), quantity };
            return (action, Some(Movement::Delivery(product, quantity)));
        }
        let has_lines = !self.cart.lines().is_empty();
        let may_add = self.cart.lines().len() < MAX_LINES;
        match self.random.u32(0..100) {
            45..58 if has_lines => (self.set(), None),
            58..66 if has_lines => (Action::Remove { customer: self.customer(), item: self.any_item() }, None),
            66..82 if has_lines && may_order => self.check_out(),
            82..90 => {
                let action = Action::Purchase { product: products::id(product) };
                (action, Some(Movement::Sale(vec![(product, 1)])))
            }
            90..93 if may_order && let Some(cancellation) = self.cancel() => cancellation,
            93..100 if let Some(action) = self.orders.iter().find_map(KnownOrder::next_action) => (action, None),
            _ if may_add => (self.add(products::id(product)), None),
            _ => (self.set(), None),
        }
    }

    fn add(&mut self, item: String) -> Action {
        let price = Money::from_hundredths(self.random.u64(PRICES)).unwrap_or_default();
        let line = Line { count: self.random.u32(1..=MAX_PIECES), price };
        Action::Add { customer: self.customer(), item, line }
    }

    fn set(&mut self) -> Action {
        Action::Set { customer: self.customer(), item: self.any_item(), count: self.random.u32(1..=MAX_PIECES) }
    }

    fn check_out(&mut self) -> (Action, Option<Movement>) {
        let sold = pieces(self.cart.lines());
        let action = Action::CheckOut { customer: self.customer(), with_address: self.random.bool() };
        (action, Some(Movement::Sale(sold)))
    }

    /// Cancels one of the orders that can be.
    fn cancel(&self) -> Option<(Action, Option<Movement>)> {
        let order = self.orders.iter().find(|order| order.cancellation().is_some())?;
        Some((order.cancellation()?, Some(Movement::Return(pieces(order.lines())))))
    }

    /// One of the cart's items.
    fn any_item(&mut self) -> String {
        let item = self.random.choice(self.cart.lines().keys());
        item.cloned().unwrap_or_else(|| products::id(0))
    }

    /// Makes a change, and takes over what the store says.
    async fn act<S: Store>(&mut self, floor: &Floor<S>, action: Action, movement: Option<Movement>) {
        match floor.act(&action, movement.as_ref()).await {
            Resolved::Done(fact) => self.acknowledge(floor, &action, fact).await,
            Resolved::Refused(refusal) if is_plausible(&action, &refusal) => {}
            Resolved::Refused(refusal) => self.contradict(floor, &action, &refusal).await,
            Resolved::GivenUp => {}
        }
    }

    async fn acknowledge<S: Store>(&mut self, floor: &Floor<S>, action: &Action, fact: Fact) {
        match (change_of(action), fact) {
            // These two say what was in the cart before.
            (Some(Change::Take), Fact::Cart(lines)) => {
                self.compare(floor, &lines);
                self.cart.acknowledge(Change::Take);
            }
            (Some(Change::Take), Fact::Order(order)) => {
                self.compare(floor, &order.lines);
                self.cart.acknowledge(Change::Take);
                self.remember(floor, KnownOrder::of(order)).await;
            }
            (Some(change), Fact::Cart(lines)) => {
                self.cart.acknowledge(change);
                self.compare(floor, &lines);
            }
            (_, Fact::Delivery(delivery)) => self.update_order(floor, action, |order| order.advance(action, &delivery)),
            (_, Fact::Order(cancelled)) => self.update_order(floor, action, |order| order.cancel(&cancelled)),
            _ => {}
        }
    }

    /// Notes what an acknowledged action makes of the order that it is about.
    fn update_order<S>(
        &mut self,
        floor: &Floor<S>,
        action: &Action,
        update: impl FnOnce(&mut KnownOrder) -> Difference,
    ) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.concerns(action)) {
            let difference = update(order);
            floor.tally.note(difference, || order.describe());
        }
    }

    async fn remember<S: Store>(&mut self, floor: &Floor<S>, order: KnownOrder) {
        self.orders.push_back(order);
        if self.orders.len() > MAX_ORDERS
            && let Some(oldest) = self.orders.pop_front()
        {
            let difference = oldest.check(floor).await.unwrap_or_default();
            floor.tally.note(difference, || oldest.describe());
        }
    }

    /// Looks for the reason of a refusal that cannot be: something that was acknowledged is not there.
    async fn contradict<S: Store>(&mut self, floor: &Floor<S>, action: &Action, refusal: &Refusal) {
        let before = (floor.tally.lost.get(), floor.tally.applied_twice.get());
        match action {
            Action::Deliver { .. } | Action::Move { .. } | Action::Cancel { .. } => {
                let position = self.orders.iter().position(|order| order.concerns(action));
                if let Some(order) = position.and_then(|position| self.orders.remove(position)) {
                    let difference = order.check(floor).await.unwrap_or_default();
                    floor.tally.note(difference, || order.describe());
                }
            }
            Action::Purchase { product } | Action::Replenish { product, .. } => check_item(floor, product).await,
            _ => {
                self.check_cart(floor).await;
                for item in self.cart.lines().keys() {
                    check_item(floor, item).await;
                }
            }
        }
        if before == (floor.tally.lost.get(), floor.tally.applied_twice.get()) {
            floor.tally.contradictions.add(1);
            floor.tally.find(format!("{action:?} was refused, and nothing tells why: {refusal}"));
        }
    }

    /// Reads the cart and compares it. `None` while the store does not answer.
    async fn check_cart<S: Store>(&mut self, floor: &Floor<S>) -> Option<()> {
        let said = floor.tell(&Question::Cart(self.customer())).await?;
        if let Ok(Fact::Cart(lines)) = said {
            self.compare(floor, &lines);
        }
        Some(())
    }

    fn compare<S>(&mut self, floor: &Floor<S>, actual: &Lines) {
        let expected = describe(self.cart.lines());
        let difference = self.cart.reconcile(actual);
        let customer = self.customer();
        let actual = || describe(actual);
        floor
            .tally
            .note(difference, || format!("the cart of {customer} has {}, acknowledged was {expected}", actual()));
    }
}

async fn check_item<S: Store>(floor: &Floor<S>, item: &str) {
    if let Some(product) = products::number(item) {
        let drift = floor.check_product(product, false).await;
        note_drift(floor, product, drift.unwrap_or_default());
    }
}

/// The pieces of each product in some lines.
fn pieces(lines: &Lines) -> Vec<(usize, u64)> {
    lines.iter().filter_map(|(item, line)| Some((products::number(item)?, u64::from(line.count)))).collect()
}

/// The lines of a cart, for people.
fn describe(lines: &Lines) -> String {
    let lines = lines.iter().map(|(item, line)| format!("{} {item} at {}", line.count, line.price));
    let text = lines.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// Notes by how much a product is off, if it is.
pub fn note_drift<S>(floor: &Floor<S>, product: usize, drift: u64) {
    if drift > 0 {
        floor.stock.note_drift(product, drift);
        let known = floor.stock.known(product);
        floor.tally.find(format!("{} is off by {drift}; known is {known:?}", products::id(product)));
    }
}

/// The change that an action makes to its customer's cart.
fn change_of(action: &Action) -> Option<Change> {
    match action.clone() {
        Action::Add { item, line, .. } => Some(Change::Add { item, line }),
        Action::Set { item, count, .. } => Some(Change::Set { item, count }),
        Action::Remove { item, .. } => Some(Change::Remove { item }),
        Action::Empty { .. } | Action::CheckOut { .. } => Some(Change::Take),
        _ => None,
    }
}

/// True for a refusal that a store without a fault may give.
fn is_plausible(action: &Action, refusal: &Refusal) -> bool {
    match action {
        Action::CheckOut { .. } => ["out_of_stock", "stock_held", "card_declined"].contains(&refusal.code.as_str()),
        Action::Purchase { .. } => ["out_of_stock", "stock_held"].contains(&refusal.code.as_str()),
        _ => false,
    }
}
