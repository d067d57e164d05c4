//! What is said when the API server cannot be reached: which one, and why. The client's own errors name neither.

use tower::{BoxError, util::MapErrLayer};

use super::error::one_line;

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {server}: {cause}")]
struct Unreachable {
    server: String,
    /// The whole chain of causes.
    cause: String,
}

/// A layer around the client to this server, under which errors tell that.
pub fn layer(server: String) -> MapErrLayer<impl Fn(BoxError) -> BoxError + Clone> {
    MapErrLayer::new(move |error: BoxError| {
        // Those of the client itself are no connection's.
        if error.is::<kube::Error>() {
            return error;
        }
        let cause = one_line(error.as_ref());
        let server = server.trim_end_matches('/').to_owned();
        Unreachable { server, cause }.into()
    })
}

#[cfg(test)]
mod tests {
    use kube::{Api, Client, Config, client::ClientBuilder};

    use super::*;

    #[tokio::test]
    async fn a_server_that_cannot_be_reached_is_named_with_the_cause() {
        // Nobody listens where somebody just did.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let config = Config::new(server.parse().expect("an address"));
        let client: Client = ClientBuilder::try_from(config)
            .expect("a client")
            .with_layer(&layer(server.clone()))
            .build();
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::all(client);
        let error = pods.get("any").await.expect_err("nobody is there").to_string();
        assert!(
            error.contains(&format!("no answer from {server}: ")) && error.contains("Connection refused"),
            "{error}"
        );
    }
}
