use super::*;

/// A request by its method, host, target and headers.
fn classified(
    method: &str,
    host: &str,
    target: &'static str,
    headers: &[(&'static str, &'static str)],
) -> (Protocol, Operation) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = |name: &str| {
        query.split('&').find_map(|pair| {
            let (known, value) = pair.split_once('=').unwrap_or((pair, ""));
            (known == name && !known.is_empty()).then_some(value)
        })
    };
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    };
    let protocol = Protocol::of_request(method, host, |name| query(name).is_some(), header);
    let has_path = path.trim_matches('/').contains('/');
    let operation = Operation::of_request(protocol, method, has_path, query, |name| header(name).is_some());
    (protocol, operation)
}

#[test]
fn every_operation_has_its_own_name() {
    for operation in Operation::all() {
        assert_eq!(operation.name().parse(), Ok(operation));
    }
    assert!("cook".parse::<Operation>().is_err());
    for protocol in [Protocol::Dfs, Protocol::Blob] {
        assert_eq!(protocol.name().parse(), Ok(protocol));
    }
    assert!("ftp".parse::<Protocol>().is_err());
}

#[test]
fn requests_are_classified_and_billed() {
    use BillingClass::{Delete, IterativeRead, IterativeWrite, Other, Read, Write};
    use Protocol::{Blob, Dfs};
    let cases = [
        ("PUT", "/w?resource=filesystem", Dfs, Operation::CreateWorkspace, Write),
        ("PUT", "/w?restype=container", Blob, Operation::CreateWorkspace, Write),
        (
            "HEAD",
            "/w?resource=filesystem",
            Dfs,
            Operation::WorkspaceProperties,
            Other,
        ),
        (
            "GET",
            "/w?restype=container",
            Blob,
            Operation::WorkspaceProperties,
            Other,
        ),
        ("PUT", "/w/p?resource=file", Dfs, Operation::CreateFile, Write),
        ("PUT", "/w/p?resource=directory", Dfs, Operation::CreateDirectory, Write),
        (
            "PATCH",
            "/w/p?action=append&position=0&flush=true",
            Dfs,
            Operation::Append,
            Write,
        ),
        ("PATCH", "/w/p?action=flush&position=0", Dfs, Operation::Flush, Write),
        (
            "PATCH",
            "/w/p?action=setProperties",
            Dfs,
            Operation::SetProperties,
            Write,
        ),
        (
            "PATCH",
            "/w/p?action=setAccessControl",
            Dfs,
            Operation::Unsupported,
            Other,
        ),
        (
            "GET",
            "/w?resource=filesystem&recursive=true",
            Dfs,
            Operation::ListPaths,
            IterativeRead,
        ),
        ("HEAD", "/w/p?action=getStatus", Dfs, Operation::Properties, Read),
        ("DELETE", "/w/p?recursive=true", Dfs, Operation::Delete, Delete),
        ("PUT", "/w/p", Blob, Operation::PutBlob, Write),
        ("PUT", "/w/p?comp=block&blockid=x", Blob, Operation::PutBlock, Write),
        ("PUT", "/w/p?comp=blocklist", Blob, Operation::PutBlockList, Write),
        ("GET", "/w/p?comp=blocklist", Blob, Operation::GetBlockList, Other),
        ("PUT", "/w/p?comp=metadata", Blob, Operation::SetMetadata, Other),
        ("HEAD", "/w/p?comp=metadata", Blob, Operation::GetMetadata, Other),
        ("PUT", "/w/p?comp=properties", Blob, Operation::SetBlobProperties, Other),
        (
            "GET",
            "/w?restype=container&comp=list",
            Blob,
            Operation::ListBlobs,
            IterativeRead,
        ),
        ("POST", "/w?restype=container&comp=batch", Blob, Operation::Batch, Other),
        ("POST", "/?comp=batch", Blob, Operation::Batch, Other),
        ("GET", "/w/p", Blob, Operation::Read, Read),
        ("HEAD", "/w/p", Blob, Operation::Properties, Other),
        ("DELETE", "/w/p", Blob, Operation::Delete, Delete),
        ("PUT", "/w/p?comp=lease", Blob, Operation::Unsupported, Other),
    ];
    for (method, target, protocol, operation, class) in cases {
        let found = classified(method, "127.0.0.1:10000", target, &[]);
        assert_eq!(found, (protocol, operation), "{method} {target}");
        assert_eq!(operation.class(protocol), class, "{method} {target}");
    }
    let rename = classified("PUT", "h", "/w/p?mode=legacy", &[("x-ms-rename-source", "/w/q")]);
    assert_eq!(rename, (Dfs, Operation::Rename));
    assert_eq!(rename.1.class(rename.0), IterativeWrite);
    let copy = classified("PUT", "h", "/w/p", &[("x-ms-copy-source", "http://h/w/q")]);
    assert_eq!(copy, (Blob, Operation::CopyBlob));
    assert_eq!(copy.1.class(copy.0), Write);
}

#[test]
fn the_host_name_decides_where_it_names_a_protocol() {
    let head = |host| classified("HEAD", host, "/w/p", &[]).0;
    assert_eq!(head("onelake.dfs.fabric.microsoft.com"), Protocol::Dfs);
    assert_eq!(head("onelake.blob.fabric.microsoft.com"), Protocol::Blob);
    assert_eq!(head("blob.localhost:10000"), Protocol::Blob);
    assert_eq!(head("127.0.0.1:10000"), Protocol::Blob);
}

#[test]
fn otherwise_the_user_agent_distinguishes_the_rust_clients() {
    let datalake = [("user-agent", "azsdk-rust-storage/0.21.0 (1.95; linux; x86_64)")];
    let blob = [("user-agent", "azsdk-rust-storage_blob/1.1.0 (1.95; linux; x86_64)")];
    let put = [blob[0], ("x-ms-blob-type", "BlockBlob")];
    for method in ["HEAD", "GET", "DELETE"] {
        assert_eq!(classified(method, "h", "/w/p", &datalake).0, Protocol::Dfs, "{method}");
        assert_eq!(classified(method, "h", "/w/p", &blob).0, Protocol::Blob, "{method}");
    }
    assert_eq!(
        classified("PUT", "h", "/w/p", &put),
        (Protocol::Blob, Operation::PutBlob)
    );
}
