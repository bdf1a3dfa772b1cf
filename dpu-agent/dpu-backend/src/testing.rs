//! A small schema and an executor for futures that never wait.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use table_model::{
    ActionId, ActionSchema, FieldSchema, FieldValue, MatchKind, ParamSchema, Rank, Row, Schema,
    TableId, TableSchema,
};

pub(crate) const SETTINGS: TableId = TableId(1);
pub(crate) const ROUTE: TableId = TableId(2);

pub(crate) fn schema() -> Schema {
    let param = |name: &str, bits| ParamSchema {
        id: 1,
        name: name.to_owned(),
        bits,
    };
    Schema {
        fingerprint: 1,
        tables: vec![
            TableSchema {
                id: SETTINGS,
                name: "settings".to_owned(),
                size: 1,
                rank: Rank::Pointer,
                fields: Vec::new(),
                actions: vec![ActionSchema {
                    id: ActionId(1),
                    name: "set".to_owned(),
                    params: vec![param("epoch", 16)],
                }],
                counted: false,
            },
            TableSchema {
                id: ROUTE,
                name: "route".to_owned(),
                size: 4096,
                rank: Rank::Pointer,
                fields: vec![FieldSchema {
                    id: 1,
                    name: "dst".to_owned(),
                    bits: 32,
                    kind: MatchKind::Exact,
                }],
                actions: vec![ActionSchema {
                    id: ActionId(2),
                    name: "forward".to_owned(),
                    params: vec![param("port", 9)],
                }],
                counted: true,
            },
        ],
    }
}

pub(crate) fn route(dst: u32, port: u16) -> Row {
    let schema = schema();
    let table = schema.table(ROUTE).unwrap();
    Row {
        key: table.key(&[FieldValue::Exact(dst.into())]).unwrap(),
        action: table.actions[0].call(&[port.into()]).unwrap(),
    }
}

pub(crate) fn settings(epoch: u16) -> Row {
    let schema = schema();
    let table = schema.table(SETTINGS).unwrap();
    Row {
        key: table.key(&[]).unwrap(),
        action: table.actions[0].call(&[epoch.into()]).unwrap(),
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future of the in-memory device waits"),
    }
}
