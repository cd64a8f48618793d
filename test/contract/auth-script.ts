/**
 * What an operator does with users and roles, as etcdctl commands in order: each line is run against both stores and must
 * come out the same. Words are separated by spaces; `''` is an empty word, and what follows ` <<< ` is the input.
 */
export const script: readonly string[] = `
auth enable
auth disable
user add root:rootpw
user grant-role root root
user list
role list
user get root
user add root:again
user add :x
user add alice:apw
user add bob:bpw
user add nopw --no-password
role add readers
role add writers
role add readers
role add ''
role grant-permission readers read foo
role grant-permission readers read --prefix bar/
role grant-permission writers readwrite foo zoo
role grant-permission writers write --from-key zz
role grant-permission writers readwrite --prefix ''
role grant-permission writers write ''
role grant-permission nothere read foo
role grant-permission readers nothing foo
role get readers
role get writers
role revoke-permission writers --from-key zz
role revoke-permission writers --prefix ''
role revoke-permission writers never
role revoke-permission nothere foo
role get writers
role get nothere
user grant-role alice readers
user grant-role alice readers
user grant-role alice nothere
user grant-role nobody readers
user get alice
user get nobody
user get alice --detail
user revoke-role alice writers
user revoke-role nobody readers
user grant-role bob writers
user passwd nobody --interactive=false <<< x
user delete nobody
role delete nothere
put foo bar
--user alice:apw get foo
auth enable
auth enable
--user root:rootpw auth enable
get foo
put foo x
del foo
--user alice:wrong get foo
--user nobody:x get foo
--user nopw:x get foo
--user root:wrong get foo
--user alice:apw get foo
--user alice:apw put foo x
--user alice:apw get bar/1
--user alice:apw get --prefix bar/
--user alice:apw get --prefix bar
--user alice:apw get bar/ bar0
--user alice:apw get bar/ bar1
--user alice:apw get --from-key bar/
--user alice:apw get zoo foo
--user alice:apw get foo foo
--user alice:apw get foo fob
--user alice:apw get bar/5 bar/1
--user alice:apw del foo
--user bob:bpw put foo y
--user bob:bpw get foo
--user bob:bpw put --prev-kv foo z
--user bob:bpw put zoo z
--user bob:bpw put zo z
--user bob:bpw put fo z
--user bob:bpw del foo zoo
--user bob:bpw del --prefix z
--user bob:bpw del --prev-kv foo
--user alice:apw user get alice
--user alice:apw user get bob
--user alice:apw user list
--user alice:apw role list
--user alice:apw role get readers
--user alice:apw role get writers
--user alice:apw role get nothere
--user alice:apw user get nothere
--user alice:apw user add x:y
--user alice:apw role add x
--user alice:apw user delete alice
--user alice:apw role delete readers
--user alice:apw auth disable
--user alice:apw user passwd alice --interactive=false <<< new
--user alice:apw user grant-role alice root
--user root:rootpw compact 2
--user root:rootpw compact 2
--user alice:apw snapshot save /nowhere/snapshot
--user alice:apw alarm list
--user alice:apw alarm disarm
--user root:rootpw alarm list
--user alice:apw member remove 1234
--user root:rootpw member remove 1234
--user alice:apw member add x --peer-urls=http://127.0.0.1:1
--user root:rootpw user delete root
--user root:rootpw user revoke-role root root
--user root:rootpw role delete root
--user root:rootpw user list
--user root:rootpw role list
--user root:rootpw user get root
--user root:rootpw user passwd alice --interactive=false <<< new
--user alice:apw get foo
--user alice:new get foo
--user root:rootpw role delete readers
--user alice:new get foo
--user root:rootpw user get alice
--user root:rootpw user delete alice
--user alice:new get foo
--user root:rootpw put --lease=1234 a b
--user root:rootpw lease list
--user bob:bpw lease revoke 77
--user bob:bpw lease timetolive 77
--user bob:bpw lease timetolive 77 --keys
--user bob:bpw lease keep-alive --once 77
--user root:rootpw txn <<< value("foo") = "x"\\n\\nput foo 1\\n\\nget foo\\n\\n
--user bob:bpw txn <<< value("foo") = "x"\\n\\nput foo 1\\n\\nget foo\\n\\n
--user bob:bpw txn <<< value("aaa") = "x"\\n\\nput foo 1\\n\\nget foo\\n\\n
--user bob:bpw txn <<< value("foo") = "x"\\n\\nput aaa 1\\n\\nget foo\\n\\n
--user bob:bpw txn <<< value("foo") = "x"\\n\\nput foo 1\\n\\nget aaa\\n\\n
txn <<< value("foo") = "x"\\n\\nput foo 1\\n\\nget foo\\n\\n
txn <<< \\n\\n\\n
--user bob:bpw get foo --consistency=s
get foo --consistency=s
--user bob:bpw get aaa --consistency=s
--user root:rootpw auth disable
--user root:rootpw auth disable
auth disable
put foo bar
--user bob:bpw get foo
user delete root
auth enable
`
  .split('\n')
  .filter((line) => line !== '');

/** What etcd 3.4 still lets pass, or tells, and later ones do not: here it is as in those. */
export const newer: readonly (readonly [line: string, wanted: RegExp])[] = [
  ['--user root:rootpw role add root', /Role root created/],
  [
    '--user root:rootpw role get root',
    /KV Read:\n\t\[, <open ended> \(prefix \)\nKV Write:\n\t\[, <open ended> \(prefix \)/,
  ],
  ['alarm list', /user name is empty/],
  ['lease list', /user name is empty/],
  ['lease grant 100', /user name is empty/],
  ['lease revoke 77', /user name is empty/],
  ['lease timetolive 77', /user name is empty/],
  ['lease keep-alive --once 77', /user name is empty/],
  ['member list', /user name is empty/],
  ['--user bob:bpw endpoint hashkv', /desc = etcdserver: permission denied/],
  ['--user bob:bpw defrag', /desc = etcdserver: permission denied/],
  ['--user bob:bpw compact 3', /permission denied/],
  ['--user root:rootpw role grant-permission writers write zoo foo', /invalid auth management/],
];
