//! tokio-postgres, unchanged, through the front.

use std::{future::poll_fn, pin::pin};

use actix_web::web::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, future::join_all};
use tokio_postgres::{AsyncMessage, Client, NoTls, error::SqlState};

use super::*;

/// Connects, and hands notifications to a channel.
async fn connect(before: &Before) -> (Client, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let address = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", before.port);
    let (client, mut connection) = tokio_postgres::connect(&address, NoTls).await.unwrap();
    let (told, notified) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|waking| connection.poll_message(waking)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = told.send(notification.payload().to_owned());
            }
        }
    });
    (client, notified)
}

async fn statements(client: &mut Client) {
    let prepared = client.prepare("select $1::int4 + 1").await.unwrap();
    // Together, as a pipeline.
    let answers = join_all((0..20).map(|number| {
        let (client, prepared) = (&*client, &prepared);
        async move { client.query_one(prepared, &[&number]).await.unwrap().get::<_, i32>(0) }
    }));
    assert_eq!(answers.await, (1..21).collect::<Vec<_>>());
    client.batch_execute("create table through_rust (n int primary key); select 1; select 2").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("insert into through_rust values (1)", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let twice = transaction.execute("insert into through_rust values (1)", &[]).await.unwrap_err();
    assert_eq!(twice.code(), Some(&SqlState::UNIQUE_VIOLATION));
    transaction.rollback().await.unwrap();
    assert_eq!(client.query_one("select count(*) from through_rust", &[]).await.unwrap().get::<_, i64>(0), 1);
}

async fn portal(client: &mut Client) {
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("select * from generate_series(1, 25)", &[]).await.unwrap();
    let mut counts = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        counts.push(rows.len());
        if rows.len() < 10 {
            break;
        }
    }
    assert_eq!(counts, [10, 10, 5]);
    transaction.commit().await.unwrap();
}

async fn copy(client: &Client) {
    let mut sink = pin!(client.copy_in("copy through_rust from stdin").await.unwrap());
    for number in 2..1_000 {
        sink.send(Bytes::from(format!("{number}\n"))).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 998);
    let out = client.copy_out("copy through_rust to stdout").await.unwrap();
    let chunks: Vec<_> = out.try_collect().await.unwrap();
    assert_eq!(chunks.iter().flat_map(|chunk| chunk.iter()).filter(|byte| **byte == b'\n').count(), 999);
}

async fn cancel(client: &Client) {
    let token = client.cancel_token();
    let (slept, cancelled) = tokio::join!(client.batch_execute("select pg_sleep(30)"), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        token.cancel_query(NoTls).await
    });
    cancelled.unwrap();
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    client.batch_execute("select 1").await.unwrap();
}

#[actix_web::test]
async fn p21_tokio_postgres_works_as_direct() {
    let postgres = &Postgres::start();
    for before in [Before::shadow(postgres), Before::enforce(postgres)] {
        let (mut client, mut notified) = connect(&before).await;
        statements(&mut client).await;
        portal(&mut client).await;
        copy(&client).await;
        cancel(&client).await;
        client.batch_execute("listen told").await.unwrap();
        client.batch_execute("notify told, 'yes'").await.unwrap();
        assert_eq!(notified.recv().await.as_deref(), Some("yes"));
        let rows = client.query_raw("select n from through_rust", std::iter::empty::<i32>()).await.unwrap();
        let mut rows = pin!(rows);
        let mut count = 0;
        while let Some(row) = rows.next().await {
            row.unwrap();
            count += 1;
        }
        assert_eq!(count, 999);
        client.batch_execute("drop table through_rust").await.unwrap();
        drop(client);
        assert!(before.entries().iter().any(|entry| entry["stream"] == "executions"));
        before.ends_well();
    }
}
