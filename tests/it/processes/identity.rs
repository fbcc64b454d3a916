//! A shard serves only sessions that expect it: swapped addresses, foreign directories and other layouts are refused,
//! and no cart is ever split.

use crate::harness::{Answer, Client, Process, Setup, Store, eventually, offer};

fn add(client: &mut Client, customer: &str) -> Answer {
    client.post(&format!("/item/{customer}/tea"), &offer("1", 1))
}

/// Starts a shard with other options than at its first start. It must refuse. Returns its log.
fn refused(store: &Store, shard: usize, changes: &[(&str, &str)]) -> String {
    let mut args = store.shards[shard].args().to_vec();
    for (option, value) in changes {
        match args.iter().position(|arg| arg == option) {
            Some(at) => args[at + 1] = (*value).to_owned(),
            None => args.extend([(*option).to_owned(), (*value).to_owned()]),
        }
    }
    match Process::try_start("refused", store.directory(), &args) {
        Ok(_) => panic!("{changes:?}: it runs"),
        Err((status, log)) => {
            assert!(!status.success() && status.code().is_some(), "{changes:?}: {status}\n{log}");
            log
        }
    }
}

#[test]
fn swapped_addresses_serve_nobody() {
    let store = Setup::new(2).start();
    let customers = [0, 1].map(|shard| store.customer_on(shard, "customer"));
    let mut addresses = store.addresses();
    addresses.reverse();
    let swapped = store.another_facade("swapped", &addresses);
    for _ in 0..20 {
        for customer in &customers {
            add(&mut swapped.client(), customer).expect_problem(503, "");
            swapped.client().get(&format!("/items/{customer}")).expect_problem(503, "");
            swapped.client().call("PUT", "/kv/key").body("x").send().expect_problem(503, "");
        }
        swapped.client().get("/readyz?shards=1").expect_problem(503, "");
    }
    for customer in &customers {
        assert_eq!(store.client().get(&format!("/items/{customer}")).expect(200).version(), 0);
    }
}

#[test]
fn too_few_or_too_many_shards_serve_nobody() {
    let store = Setup::new(2).start();
    let addresses = store.addresses();
    let twice = [addresses[0].clone(), addresses[1].clone(), addresses[0].clone()];
    for (name, addresses) in [("few", &addresses[..1]), ("many", &twice[..])] {
        let facade = store.another_facade(name, addresses);
        for number in 0..20 {
            add(&mut facade.client(), &format!("customer-{number}")).expect_problem(503, "");
        }
        facade.client().get("/readyz?shards=1").expect_problem(503, "");
    }
}

#[test]
fn a_shard_of_another_store_is_left_alone() {
    let (ours, theirs) = (Setup::new(2).durable().start(), Setup::new(2).durable().start());
    let customer = ours.customer_on(1, "customer");
    assert_eq!(ours.shard_of(&customer), theirs.shard_of(&customer));
    add(&mut theirs.client(), &customer).expect(201);
    let mixed = ours.another_facade("mixed", &[ours.addresses()[0].clone(), theirs.addresses()[1].clone()]);
    let (mut served, mut refused) = ([false; 2], [false; 2]);
    // The first shard that answers decides the facade's store; it is never both.
    eventually("one of the two shards is refused and the other served", || {
        for shard in 0..2 {
            let path = format!("/items/{}", ours.customer_on(shard, "customer"));
            match mixed.client().get(&path).status {
                200 => served[shard] = true,
                503 => refused[shard] = true,
                status => panic!("{status}"),
            }
        }
        assert!(served != [true; 2], "shards of two stores were served");
        (served.contains(&true) && refused.contains(&true)).then_some(())
    });
}

#[test]
fn a_directory_is_opened_only_by_its_own_shard() {
    let mut store = Setup::new(2).durable().start();
    let customer = store.customer_on(1, "customer");
    add(&mut store.client(), &customer).expect(201);
    store.shards[1].kill();
    let foreign = "01234567-89ab-4cde-8f01-23456789abcd";
    for changes in [
        &[("--index", "0")][..],
        &[("--shards", "3")],
        &[("--store-id", foreign)],
        &[("--shards", "1"), ("--index", "0")],
    ] {
        let log = refused(&store, 1, changes);
        assert!(log.contains("data directory"), "{changes:?}: {log}");
    }
    store.start_shard(1);
    assert_eq!(store.client().get(&format!("/items/{customer}")).expect(200).json()["itemTotal"], 1);
}

#[test]
fn a_directory_has_one_process_at_a_time() {
    let store = Setup::new(1).durable().start();
    let other_socket = format!("unix:{}", store.directory().join("other").display());
    let log = refused(&store, 0, &[("--listen", &other_socket)]);
    assert!(log.contains("another process"), "{log}");
    add(&mut store.client(), "alice").expect(201);
}

#[test]
fn options_that_cannot_be_are_refused() {
    let mut store = Setup::new(1).start();
    store.shards[0].kill();
    for changes in [
        &[("--index", "1")][..],
        &[("--shards", "0")],
        &[("--shards", "100000")],
        &[("--listen", "nowhere")],
        &[("--listen", "unix:")],
        &[("--storage", "tape")],
        &[("--min-free", "much")],
        &[("--store-id", "x")],
    ] {
        let log = refused(&store, 0, changes);
        assert!(log.contains(changes[0].0.trim_start_matches('-')), "{changes:?}: {log}");
    }
}
