//! Outbound Redis: a connection for each one that the component opens, and the results of any command as a flat list.
//!
//! As in Spin the connection is not made again when it breaks, redirections of a cluster are not followed, errors are texts, and a
//! call has no timeout. The commands that have functions of their own are not here: the component uses none.

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Value};
use wasmtime::Result;
use wasmtime::component::{Accessor, Linker, Resource};

use crate::capabilities::Spin;
use crate::capabilities::spin::redis::redis as wit;
use crate::guest::State;

/// An open connection, as a resource of the component.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection(MultiplexedConnection);

pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    wit::add_to_linker::<_, Spin>(linker, |state| state)
}

type Answer<T> = Result<std::result::Result<T, wit::Error>>;

impl wit::HostConnectionWithStore<State> for Spin {
    async fn open(accessor: &Accessor<State, Self>, address: String) -> Answer<Resource<Connection>> {
        let Ok(info) = address.as_str().into_connection_info() else {
            return Ok(Err(wit::Error::InvalidAddress));
        };
        let (host, port) = match info.addr() {
            redis::ConnectionAddr::Tcp(host, port) | redis::ConnectionAddr::TcpTls { host, port, .. } => {
                (host.clone(), *port)
            }
            _ => return Ok(Err(wit::Error::InvalidAddress)),
        };
        let scheme = address.split("://").next().unwrap_or_default().to_owned();
        let allowed =
            accessor.with(|mut access| access.get().shared.app.allowed_hosts.allow(&scheme, &host, Some(port)));
        if !allowed {
            return Ok(Err(wit::Error::InvalidAddress));
        }
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let opened = match Client::open(info) {
            Ok(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(connection) => accessor.with(|mut access| Ok(Ok(access.get().table.push(Connection(connection))?))),
            Err(error) => Ok(Err(wit::Error::Other(error.to_string()))),
        }
    }

    async fn publish(_: &Accessor<State, Self>, _: Resource<Connection>, _: String, _: Vec<u8>) -> Answer<()> {
        Ok(Err(unsupported()))
    }

    async fn get(_: &Accessor<State, Self>, _: Resource<Connection>, _: String) -> Answer<Option<Vec<u8>>> {
        Ok(Err(unsupported()))
    }

    async fn set(_: &Accessor<State, Self>, _: Resource<Connection>, _: String, _: Vec<u8>) -> Answer<()> {
        Ok(Err(unsupported()))
    }

    async fn incr(_: &Accessor<State, Self>, _: Resource<Connection>, _: String) -> Answer<i64> {
        Ok(Err(unsupported()))
    }

    async fn del(_: &Accessor<State, Self>, _: Resource<Connection>, _: Vec<String>) -> Answer<u32> {
        Ok(Err(unsupported()))
    }

    async fn sadd(_: &Accessor<State, Self>, _: Resource<Connection>, _: String, _: Vec<String>) -> Answer<u32> {
        Ok(Err(unsupported()))
    }

    async fn smembers(_: &Accessor<State, Self>, _: Resource<Connection>, _: String) -> Answer<Vec<String>> {
        Ok(Err(unsupported()))
    }

    async fn srem(_: &Accessor<State, Self>, _: Resource<Connection>, _: String, _: Vec<String>) -> Answer<u32> {
        Ok(Err(unsupported()))
    }

    async fn execute(
        accessor: &Accessor<State, Self>,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<wit::RedisParameter>,
    ) -> Answer<Vec<wit::RedisResult>> {
        let taken = accessor.with(|mut access| {
            let state = access.get();
            let is_away = state.shared.faults.hit_counters();
            state.table.get(&connection).map(|connection| (connection.0.clone(), is_away))
        });
        let (mut connection, is_away) = taken?;
        if is_away {
            return Ok(Err(wit::Error::Other("the store is unavailable (injected fault)".to_owned())));
        }
        let mut words = redis::cmd(&command);
        for argument in arguments {
            match argument {
                wit::RedisParameter::Int64(number) => words.arg(number),
                wit::RedisParameter::Binary(bytes) => words.arg(bytes),
            };
        }
        let answer = connection.req_packed_command(&words).await.and_then(Value::extract_error);
        Ok(match answer {
            Ok(value) => {
                let mut results = Vec::new();
                append(&mut results, value).map(|()| results)
            }
            Err(error) => Err(wit::Error::Other(error.to_string())),
        })
    }
}

impl wit::HostConnection for State {
    fn drop(&mut self, connection: Resource<Connection>) -> Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl wit::Host for State {}

fn append(results: &mut Vec<wit::RedisResult>, value: Value) -> std::result::Result<(), wit::Error> {
    match value {
        Value::Nil => results.push(wit::RedisResult::Nil),
        Value::Int(number) => results.push(wit::RedisResult::Int64(number)),
        Value::BulkString(bytes) => results.push(wit::RedisResult::Binary(bytes)),
        Value::SimpleString(text) => results.push(wit::RedisResult::Status(text)),
        Value::Okay => results.push(wit::RedisResult::Status("OK".to_owned())),
        Value::Array(values) => return values.into_iter().try_for_each(|value| append(results, value)),
        _ => return Err(wit::Error::TypeError),
    }
    Ok(())
}

fn unsupported() -> wit::Error {
    wit::Error::Other("this host of tests has only `execute`".to_owned())
}
