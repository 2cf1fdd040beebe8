//! Other clients: Microsoft's for Python, deltalake, polars, and the object store of deltalake.

use std::path::Path;
use std::slice;

use futures::TryStreamExt;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path as StorePath;
use object_store::{
    Error, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};

use crate::access::certificate;
use crate::signed::KEY;
use crate::support::{Lake, TOKEN};
use onelake_emulator::{Item, Verb};
use xact_testkit::python;

/// Runs a script of `clients`, which fails if anything is not as expected.
async fn run(script: &str, args: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulator/clients");
    let script = folder.join(script);
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || python::run_script(&script, args));
    ran.await.unwrap().unwrap();
}

/// Runs it with a shared key over HTTP, as for a local account, and with a token over HTTPS, as for OneLake.
async fn run_with_key_and_token(script: &str) {
    let lake = Lake::start().await;
    run(script, &[&lake.emulator.url(), "key"]).await;
    let (authority, tls) = certificate();
    let lake = Lake::start_with(|options| options.tls = Some(tls)).await;
    let ca = lake.dir.join("ca.pem");
    std::fs::write(&ca, authority).unwrap();
    run(script, &[&lake.emulator.url(), "token", ca.to_str().unwrap()]).await;
}

#[tokio::test]
async fn microsofts_data_lake_client_for_python_works() {
    run_with_key_and_token("datalake.py").await;
}

#[tokio::test]
async fn microsofts_blob_client_for_python_works() {
    run_with_key_and_token("blob.py").await;
}

#[tokio::test]
async fn deltalake_and_polars_write_and_read_tables() {
    let lake = Lake::start().await;
    let item = Item::new("claims", "Lake.Lakehouse");
    let by_name = "abfss://claims@WORKSPACE/Lake.Lakehouse/Tables/t";
    let by_guid = format!("abfss://{}@WORKSPACE/{}/Tables/t", item.workspace_guid(), item.guid());
    run("delta.py", &[&lake.emulator.url(), by_name, &by_guid]).await;
    let puts = lake.emulator.requests(Verb::PutBlob).statuses;
    assert!(puts.contains_key(&409), "no conflict was met: {puts:?}");
    assert_eq!(lake.emulator.requests(Verb::Batch).requests, 1);
    let log = lake.on_disk("/claims/Lake.Lakehouse/Tables/t/_delta_log/00000000000000000000.json");
    assert!(log.exists());
}

#[tokio::test]
async fn the_object_store_of_deltalake_works() {
    let lake = Lake::start().await;
    let store = MicrosoftAzureBuilder::new()
        .with_url("abfss://claims@onelake.dfs.fabric.microsoft.com")
        .with_endpoint(lake.emulator.url())
        .with_allow_http(true)
        .with_bearer_token_authorization(TOKEN)
        .build()
        .unwrap();
    let at = |name: &str| StorePath::from(format!("Lake.Lakehouse/Tables/t/{name}"));
    let (one, two, data) = (at("log/1.json"), at("log/2.json"), at("data/a b%2F.parquet"));
    let create = async |text: &'static str| {
        let only_new = PutOptions::from(PutMode::Create);
        store.put_opts(&one, text.into(), only_new).await
    };
    create("one").await.unwrap();
    let again = create("two").await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    let first = store.head(&one).await.unwrap();
    let changed = store.put(&one, "new".into()).await.unwrap();
    assert_ne!(changed.e_tag, first.e_tag);
    let stale = PutMode::Update(UpdateVersion {
        e_tag: first.e_tag,
        version: None,
    });
    let refused = store.put_opts(&one, "x".into(), stale.into()).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");

    let mut upload = store.put_multipart(&data).await.unwrap();
    for part in [vec![1; 6_000_000], vec![2; 10]] {
        upload.put_part(part.into()).await.unwrap();
    }
    upload.complete().await.unwrap();
    let range = store.get_range(&data, 5_999_999..6_000_003).await.unwrap();
    assert_eq!(&range[..], [1, 2, 2, 2]);

    store.copy_if_not_exists(&one, &two).await.unwrap();
    let exists = store.copy_if_not_exists(&one, &two).await;
    assert!(matches!(exists, Err(Error::AlreadyExists { .. })), "{exists:?}");
    let names = |listed: Vec<ObjectMeta>| -> Vec<StorePath> { listed.into_iter().map(|meta| meta.location).collect() };
    let all: Vec<_> = store.list(Some(&at(""))).try_collect().await.unwrap();
    assert_eq!(names(all), [data, one.clone(), two.clone()]);
    let after = store.list_with_offset(Some(&at("log")), &one);
    let after: Vec<_> = after.try_collect().await.unwrap();
    assert_eq!(names(after), slice::from_ref(&two));
    let level = store.list_with_delimiter(Some(&at(""))).await.unwrap();
    assert_eq!(level.common_prefixes, [at("data"), at("log")]);
    let missing = store.get(&at("none")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");

    let deleted = store.delete(&two).await;
    assert!(deleted.is_err(), "it deletes by batch, which OneLake refuses");
    assert_eq!(lake.emulator.requests(Verb::Batch).requests, 1);
    assert!(store.head(&two).await.is_ok());
}

#[tokio::test]
async fn the_object_store_signs_with_a_shared_key() {
    let lake = Lake::start().await;
    let store = |key: &str| {
        let builder = MicrosoftAzureBuilder::new()
            .with_account("devstoreaccount1")
            .with_access_key(key)
            .with_endpoint(format!("{}/devstoreaccount1", lake.emulator.url()))
            .with_container_name("claims")
            .with_allow_http(true);
        builder.build().unwrap()
    };
    let (right, wrong) = (store(KEY), store("AAAA"));
    let path = StorePath::from("Lake.Lakehouse/Files/a b%+ü");
    right.put(&path, "abc".into()).await.unwrap();
    let folder = StorePath::from("Lake.Lakehouse/Files");
    let all: Vec<_> = right.list(Some(&folder)).try_collect().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].location, path);
    let refused = wrong.get(&path).await;
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
}
