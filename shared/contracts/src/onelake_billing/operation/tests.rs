use super::*;

/// A request by its method, host, target and headers.
fn classified(method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> (Protocol, Operation) {
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
            .find_map(|(known, value)| (*known == name).then_some(*value))
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
    let table = "
        PUT /w?resource=filesystem → Dfs CreateWorkspace Write
        PUT /w?restype=container → Blob CreateWorkspace Write
        HEAD /w?resource=filesystem → Dfs WorkspaceProperties Other
        GET /w?restype=container → Blob WorkspaceProperties Other
        PUT /w/p?resource=file → Dfs CreateFile Write
        PUT /w/p?resource=directory → Dfs CreateDirectory Write
        PATCH /w/p?action=append&position=0&flush=true → Dfs Append Write
        PATCH /w/p?action=flush&position=0 → Dfs Flush Write
        PATCH /w/p?action=setProperties → Dfs SetProperties Write
        PATCH /w/p?action=setAccessControl → Dfs Unsupported Other
        GET /w?resource=filesystem&recursive=true → Dfs ListPaths IterativeRead
        HEAD /w/p?action=getStatus → Dfs Properties Read
        DELETE /w/p?recursive=true → Dfs Delete Delete
        PUT /w/p → Blob PutBlob Write
        PUT /w/p?comp=block&blockid=x → Blob PutBlock Write
        PUT /w/p?comp=blocklist → Blob PutBlockList Write
        GET /w/p?comp=blocklist → Blob GetBlockList Other
        PUT /w/p?comp=metadata → Blob SetMetadata Other
        HEAD /w/p?comp=metadata → Blob GetMetadata Other
        PUT /w/p?comp=properties → Blob SetBlobProperties Other
        GET /w?restype=container&comp=list → Blob ListBlobs IterativeRead
        POST /w?restype=container&comp=batch → Blob Batch Other
        POST /?comp=batch → Blob Batch Other
        GET /w/p → Blob Read Read
        HEAD /w/p → Blob Properties Other
        DELETE /w/p → Blob Delete Delete
        PUT /w/p?comp=lease → Blob Unsupported Other
    ";
    let summary = |(protocol, operation): (Protocol, Operation)| {
        format!("{protocol:?} {operation:?} {:?}", operation.class(protocol))
    };
    for line in table.trim().lines() {
        let (request, expected) = line.trim().split_once(" → ").unwrap();
        let (method, target) = request.split_once(' ').unwrap();
        let found = summary(classified(method, "127.0.0.1:10000", target, &[]));
        assert_eq!(found, expected, "{request}");
    }
    let rename = classified("PUT", "h", "/w/p?mode=legacy", &[("x-ms-rename-source", "/w/q")]);
    assert_eq!(summary(rename), "Dfs Rename IterativeWrite");
    let copy = classified("PUT", "h", "/w/p", &[("x-ms-copy-source", "http://h/w/q")]);
    assert_eq!(summary(copy), "Blob CopyBlob Write");
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
    assert_eq!(classified("PUT", "h", "/w/p", &put).0, Protocol::Blob);
}
