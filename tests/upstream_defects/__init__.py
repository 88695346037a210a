"""What went wrong with the IMPS operator, and the test that shows that it cannot go wrong here.

Each defect was read from IMPS's last source (July 2023) and has a number. On a real kube-apiserver wherever the defect
lives there, else in virtual time or on plain values.

| defect of IMPS | here |
|---|---|
| D1 a failing source is left out of every target | a failing source keeps its last content: ``test_credentials``, d01 |
| D2 an expired token counts as success | expired is never Ready: d02 |
| D3 the token cache forgets at once | a keeper holds its token, and stores it: d03 |
| D4 the cache key leaves the role out | an identity is a digest of all that shapes the call: d04 |
| D5 one lock over every call to AWS | each identity has a keeper of its own, and no lock: d05 |
| D6 no backoff | from a second to five minutes: d06 |
| D7 every host under amazonaws.com | hosts follow the region's partition, or are given: d07 |
| D8 static keys only | the process's own identity, roles, external IDs, sessions: d08 |
| D9 the merge order is random | the order in the policy decides: d09 |
| D10 fields of a docker config are lost | an entry keeps all its fields: d10 |
| D11 panics | an answer of no use is a failed mint, never an exception that ends anything: d11 |
| D12 a failed write counts as success | a status is computed from what lies there: ``test_targets``, d12 |
| D13 a source that failed is left for five minutes | its keeper asks again after a second: d13 |
| D14 one bad namespace stops the pass | a namespace is the unit of work, with a backoff of its own: d14 |
| D15 drift stays until the next interval | targets are watched: d15 |
| D16 silent adoption, rivals that overwrite each other | only what is marked is ours; the older policy wins: d16 |
| D17 the credential in an annotation | no copy of it anywhere: d17 |
| D18 every target written at every pass | what is wanted and what is there are compared as digests: d18 |
| D19 a Secret in the log | values are never part of what is logged: d19 |
| D20 deletion by ownerReference | by our own marks, in any cluster, without a finalizer: d20 |
| D21 a pod selector that fails counts as no pods | not known is not no: ``test_selection``, d21 |
| D22 an invalid selector stops a policy | its last valid spec stays in force: d22 |
| D23 annotation selectors read as label selectors | they take any value: d23 |
| D24 finished pods select; the last pod takes its Secret along | they do not; it stays for a day: d24 |
| D25 everything kept in memory | Secrets are read by name, namespaces as metadata: ``test_operations``, d25 |
| D26 an event reconciles everything | it plans its own namespace: d26 |
| D27 deleted policies queued for ever | nothing runs by interval; its watch ends with its last target: d27 |
| D28 no metrics, a status without bounds, an Event for each failure | d28 |
| D29 ``--log.level`` ignored, probes on ``/metrics`` | d29 |
| D30 one cluster | d30 |
"""
