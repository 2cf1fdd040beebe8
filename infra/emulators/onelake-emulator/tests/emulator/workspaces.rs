//! Workspaces, items and their folders, which are managed by Fabric.

use crate::support::Lake;

#[tokio::test]
async fn workspaces_items_and_their_folders_cannot_be_changed() {
    const MANAGED: &str = "400 OperationNotAllowedOnThePath";
    let lake = Lake::start().await;
    lake.write("a", "abc").await;
    lake.assert_outcomes(&[
        ("PUT /other?resource=filesystem", "", MANAGED),
        ("PUT /claims?resource=filesystem", "", "409 FilesystemAlreadyExists"),
        ("DELETE /claims?resource=filesystem", "", MANAGED),
        (
            "PUT /claims/New.Lakehouse?resource=directory",
            "",
            "404 ArtifactNotFound",
        ),
        (
            "PUT /claims/New.Lakehouse/Files/a?resource=file",
            "",
            "404 ArtifactNotFound",
        ),
        ("PUT /claims/Lake.Lakehouse?resource=directory", "", MANAGED),
        (
            "PUT /claims/Lake.Lakehouse/Files?resource=directory",
            "",
            "409 PathAlreadyExists",
        ),
        ("PUT /claims/Lake.Lakehouse/Other?resource=directory", "", MANAGED),
        ("PUT /claims/Lake.Lakehouse/Other/a?resource=file", "", MANAGED),
        ("PUT /claims/Lake.Lakehouse/a?resource=file", "", MANAGED),
        ("DELETE /claims/Lake.Lakehouse?recursive=true", "", MANAGED),
        ("DELETE /claims/Lake.Lakehouse/Files?recursive=true", "", MANAGED),
        ("PATCH /claims/Lake.Lakehouse/Files?action=setProperties", "", MANAGED),
        (
            "PUT /other/Lake.Lakehouse/Files/a?resource=file",
            "",
            "404 FilesystemNotFound",
        ),
        ("HEAD /claims/Lake.Lakehouse/Tables?action=getStatus", "", "200"),
    ])
    .await;
    assert_eq!(lake.rename("a", "/claims/Lake.Lakehouse/a").await, MANAGED);
    assert_eq!(lake.rename("/claims/Lake.Lakehouse/Files", "b").await, MANAGED);
    let head = lake.head("/claims?resource=filesystem").await;
    assert_eq!(head.header("x-ms-namespace-enabled"), "true");
}
