//! Workspaces, items and their folders, which are managed by Fabric.

use crate::support::{FILES, Lake};

#[tokio::test]
async fn workspaces_items_and_their_folders_cannot_be_changed() {
    let lake = Lake::start().await;
    lake.write(&format!("{FILES}/a"), "abc").await;
    let managed = (400, "OperationNotAllowedOnThePath");
    let cases = [
        ("PUT", "/other?resource=filesystem", managed),
        ("PUT", "/claims?resource=filesystem", (409, "FilesystemAlreadyExists")),
        ("DELETE", "/claims?resource=filesystem", managed),
        (
            "PUT",
            "/claims/New.Lakehouse?resource=directory",
            (404, "ArtifactNotFound"),
        ),
        (
            "PUT",
            "/claims/New.Lakehouse/Files/a?resource=file",
            (404, "ArtifactNotFound"),
        ),
        ("PUT", "/claims/Lake.Lakehouse?resource=directory", managed),
        (
            "PUT",
            "/claims/Lake.Lakehouse/Files?resource=directory",
            (409, "PathAlreadyExists"),
        ),
        ("PUT", "/claims/Lake.Lakehouse/Other?resource=directory", managed),
        ("PUT", "/claims/Lake.Lakehouse/Other/a?resource=file", managed),
        ("PUT", "/claims/Lake.Lakehouse/a?resource=file", managed),
        ("DELETE", "/claims/Lake.Lakehouse?recursive=true", managed),
        ("DELETE", "/claims/Lake.Lakehouse/Files?recursive=true", managed),
        ("PATCH", "/claims/Lake.Lakehouse/Files?action=setProperties", managed),
        (
            "PUT",
            "/other/Lake.Lakehouse/Files/a?resource=file",
            (404, "FilesystemNotFound"),
        ),
    ];
    for (method, path, told) in cases {
        assert_eq!(
            lake.send(method, path, &[], "").await.outcome(),
            told,
            "{method} {path}"
        );
    }
    let file = format!("{FILES}/a");
    assert_eq!(
        lake.rename(&file, "/claims/Lake.Lakehouse/a", &[]).await.outcome(),
        managed
    );
    assert_eq!(
        lake.rename("/claims/Lake.Lakehouse/Files", &format!("{FILES}/b"), &[])
            .await
            .outcome(),
        managed
    );
    assert_eq!(
        lake.head("/claims?resource=filesystem")
            .await
            .header("x-ms-namespace-enabled"),
        "true"
    );
    assert_eq!(
        lake.head("/claims/Lake.Lakehouse/Tables?action=getStatus").await.status,
        200,
        "they can be looked at"
    );
}

#[tokio::test]
async fn workspaces_can_be_created_with_the_option() {
    let lake = Lake::start_with(|options| options.workspaces_by_api = true).await;
    assert_eq!(
        lake.send("PUT", "/other?resource=filesystem", &[], "").await.status,
        201
    );
    assert_eq!(lake.send("PUT", "/third?restype=container", &[], "").await.status, 201);
    assert_eq!(
        lake.send("PUT", "/third?restype=container", &[], "").await.outcome(),
        (409, "ContainerAlreadyExists")
    );
    assert_eq!(
        lake.send("DELETE", "/other?resource=filesystem", &[], "").await.status,
        202
    );
    assert_eq!(
        lake.head("/other?resource=filesystem").await.outcome(),
        (404, "FilesystemNotFound")
    );
    assert_eq!(
        lake.send("PUT", "/.onelake?resource=filesystem", &[], "")
            .await
            .outcome(),
        (400, "InvalidResourceName")
    );
}
