//! What the scripted API server can show, seen by the client that the tests rely on it with.

use curfew::cluster::api_health::ApiHealth;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};

use crate::{
    app::{self, NAMESPACE},
    server::Server,
};

/// More than a page of kube's, which asks for 500 at a time.
const MANY: usize = 701;

async fn many() -> (Server, Api<DynamicObject>) {
    let server = Server::start().await;
    server.change(|world| {
        for index in 0..MANY {
            app::install(world, &format!("web-{index:03}"));
        }
    });
    let kind = GroupVersionKind::gvk("flagger.app", "v1beta1", "Canary");
    let client = server.client(&ApiHealth::default());
    let canaries = Api::namespaced_with(client, NAMESPACE, &ApiResource::from_gvk(&kind));
    (server, canaries)
}

#[tokio::test]
async fn a_list_comes_in_pages_that_show_one_state() {
    let (server, canaries) = many().await;
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    let mut versions = Vec::new();
    let mut params = ListParams::default().limit(500);
    loop {
        let page = canaries.list(&params).await.expect("a page");
        sizes.push((page.items.len(), page.metadata.remaining_item_count));
        versions.push(page.metadata.resource_version);
        names.extend(page.items.into_iter().filter_map(|canary| canary.metadata.name));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else {
            break;
        };
        params = params.continue_token(&token);
        // What changes between two pages belongs to none of them.
        server.change(|world| app::install(world, &format!("late-{}", sizes.len())));
    }
    assert_eq!(sizes, [(500, Some(201)), (201, None)]);
    versions.dedup();
    assert_eq!(versions.len(), 1, "{versions:?}");
    let expected: Vec<_> = (0..MANY).map(|index| format!("web-{index:03}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_continue_token_that_expired_is_refused() {
    let (server, canaries) = many().await;
    let page = canaries.list(&ListParams::default().limit(500)).await.expect("a page");
    let token = page.metadata.continue_.expect("a token");
    server.expire_continue_tokens();
    let next = canaries
        .list(&ListParams::default().limit(500).continue_token(&token))
        .await;
    let Err(kube::Error::Api(status)) = next else {
        panic!("answered: {next:?}");
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}
