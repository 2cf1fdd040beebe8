// Analyses every query of the compiled template and of the runbooks with the language service of Kusto, which the portal's editor uses too:
//
//     bicep build bicep/main.bicep --stdout | node tests/kusto/check-queries.js FOLDER
//
// FOLDER has the packages of package.json here (tests/run installs them). A column that does not exist, a keyword in the
// place of a name, or a wrong type is an error. That the queries find what they should is tested in tests/deployment.
"use strict";

const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = path.join(process.argv[2], "node_modules/@kusto/language-service-next");
// The package is two scripts for a browser: they define globals.
for (const script of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, script), "utf8"), script);
}
const { KustoCode, GlobalState, Symbols } = Kusto.Language;

// https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerappconsolelogs, …/containerappsystemlogs, …/appmetrics
const TABLES = {
  ContainerAppConsoleLogs:
    "TimeGenerated:datetime, ContainerAppName:string, JobName:string, ContainerGroupName:string, RevisionName:string, Log:string",
  ContainerAppSystemLogs:
    "TimeGenerated:datetime, ContainerAppName:string, JobName:string, RevisionName:string, ReplicaName:string, EventSource:string, Reason:string, Log:string",
  AppMetrics:
    "TimeGenerated:datetime, Name:string, Sum:real, ItemCount:int, Min:real, Max:real, Properties:dynamic, AppRoleName:string, AppRoleInstance:string",
};
const tables = Object.entries(TABLES).map(([name, columns]) => Symbols.TableSymbol.From(`(${columns})`).WithName(name));
const workspace = new Symbols.DatabaseSymbol.$ctor1("workspace", tables);
const globals = GlobalState.Default.WithDatabase(workspace);

/** Returns what is wrong with a query. */
function faults(query) {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, i) => found.getItem(i)).map(
    (fault) => `${fault.Message} (${query.substr(fault.Start, fault.Length)})`,
  );
}

/** Returns the queries in a template: values of `kql` and `query` that are no expressions of ARM. */
function queries(value) {
  return Object.entries(value ?? {}).flatMap(([key, inner]) => {
    if (typeof inner === "object") return queries(inner);
    const isQuery = ["kql", "query"].includes(key) && typeof inner === "string" && !inner.startsWith("[");
    return isQuery ? [inner.replaceAll("{threshold}", "1").replaceAll("{capacityUnits}", "2")] : [];
  });
}

if (faults("AppMetrics | where Nam == 1").length !== 1 || faults("AppMetrics | where Name == '1'").length !== 0) {
  throw new Error("the analysis does not work");
}
/** Returns the queries of the runbooks: blocks of the language `kusto`. */
function queriesOfRunbooks() {
  const pages = path.join(__dirname, "../../infra/runbooks");
  const texts = fs.readdirSync(pages).map((name) => fs.readFileSync(path.join(pages, name), "utf8"));
  return texts.flatMap((text) => [...text.matchAll(/```kusto\n([^`]*)```/g)].map((block) => block[1]));
}

const ofRunbooks = queriesOfRunbooks();
const all = [...queries(JSON.parse(fs.readFileSync(0, "utf8"))), ...ofRunbooks];
const wrong = all.flatMap((query) => faults(query).map((fault) => `${fault}\n${query}\n`));
console.log([...wrong, `queries: ${all.length}, faults: ${wrong.length}`].join("\n"));
process.exitCode = wrong.length === 0 && all.length > 46 && ofRunbooks.length > 5 ? 0 : 1;
