//! The promises of the repository in `PostgreSQL`, over servers that the tests start and kill.

use crate::support::PostgresServer;

#[test]
fn a_server_keeps_what_it_has_committed_when_it_is_killed() {
    let mut server = PostgresServer::new();
    server.sql("CREATE TABLE kept (it text); INSERT INTO kept VALUES ('canary')");
    for _ in 0..3 {
        server.kill();
        server.start();
        assert_eq!(server.sql("SELECT it FROM kept"), "canary\n");
    }
    server.stop();
    server.start();
    assert!(String::from_utf8(server.dump()).unwrap().contains("canary"));
}
