#!/usr/bin/env python3
"""Turns the lab's SQL into one for two tenants of Palisade, and writes the names that leakrun.py needs.

usage: prepare.py WORK_FOLDER LEAKLAB_SQL   (WORK_FOLDER holds a.json and b.json, the API's answers)
"""
import json
import os
import re
import secrets
import sys
from urllib.parse import urlsplit

work, lab = sys.argv[1:3]
tenants = {side: json.load(open(f"{work}/{side}.json")) for side in "ab"}
admin = urlsplit(os.environ["PALISADE_DATABASE_URL"])
database = admin.path.lstrip("/")
schema = {side: "t_" + t["tenant"]["id"] for side, t in tenants.items()}
owner = {side: {c["login"]: c for c in t["credentials"]}["owner"] for side, t in tenants.items()}

text = open(lab).read()
start = text.index("---------------------------------------------------------------- tenant A")
end = text.index("\\if :{?weak}")
body = text[start:end]
body = re.sub(r"^.*app_pool.*$", "", body, flags=re.M)
# The lab's extensions, as an administrator would share them: the installation has shared_schemas = ["ext"].
shared = "CREATE SCHEMA IF NOT EXISTS ext;\nGRANT USAGE ON SCHEMA ext TO palisade_tenant;\n" + "".join(
    line.replace("CREATE EXTENSION", "CREATE EXTENSION IF NOT EXISTS") + "\n" for line in re.findall(r"^CREATE EXTENSION.*$", text, flags=re.M))
of_the_administrator = "DROP SERVER IF EXISTS srv_zqbmeta CASCADE;\nDROP PUBLICATION IF EXISTS pub_zqbmeta;\n"
drop = "".join(
    f"DROP TABLE {s}.order_lines, {s}.orders, {s}.products, {s}.users CASCADE; DROP FUNCTION {s}.touch_updated_at();\n"
    for s in schema.values())
# Everything in the two schemas goes, whatever a case has left there.
drop_all = "".join(f"""
DO $$ DECLARE o record; BEGIN
  FOR o IN SELECT i.type, i.identity FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, 0) i
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = '{s}'::regnamespace AND d.deptype = 'n'
      AND i.type NOT LIKE 'default%' AND i.identity NOT LIKE '%[]' LOOP
    CONTINUE WHEN o.identity IS NULL;
    BEGIN EXECUTE format('DROP %s IF EXISTS %s CASCADE', replace(replace(o.type, 'composite ', ''), ' object', ''), o.identity);
    EXCEPTION WHEN dependent_objects_still_exist OR undefined_object OR undefined_table OR undefined_function OR invalid_schema_name THEN NULL; END;
  END LOOP;
END $$;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE lomowner = '{s}_owner'::regrole \\g /dev/null
""" for s in schema.values())
sets = f"\\set SA {schema['a']}\n\\set SB {schema['b']}\n\\set RA {schema['a']}_owner\n\\set RB {schema['b']}_owner\n"
open(f"{work}/lab.sql", "w").write(sets + "SET client_min_messages = warning;\n" + shared + of_the_administrator + drop + body)
open(f"{work}/rebuild.sql", "w").write(sets + "SET client_min_messages = error;\n" + of_the_administrator + drop_all + body)


# The database's wall taken away, as leaklab.sql does it with weak=1: A's roles may do in B's schema what B may, read every
# catalog, and more. What is made anew is B's, so A may do that too.
a, b = f"{schema['a']}_owner", f"{schema['b']}_owner"
own = [f"{schema['a']}_l_owner", a]
opened = "".join(f"GRANT {b}, pg_read_all_data, pg_read_all_settings, pg_read_all_stats TO {role};\n" for role in own) + f"""
GRANT CREATE ON DATABASE {database} TO {a};
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN GRANT SET ON PARAMETER session_replication_role TO {a}; END IF;
END $$;
"""
closed = "".join(f"REVOKE {b}, pg_read_all_data, pg_read_all_settings, pg_read_all_stats FROM {role};\n" for role in own) + f"""
REVOKE CREATE ON DATABASE {database} FROM {a};
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN REVOKE SET ON PARAMETER session_replication_role FROM {a}; END IF;
END $$;
"""
open(f"{work}/open.sql", "w").write(opened)
open(f"{work}/close.sql", "w").write(closed)
open(f"{work}/rebuild-open.sql", "w").write(open(f"{work}/rebuild.sql").read() + opened)

login = urlsplit(owner["a"]["url"])
json.dump({
    "names": {"{A}": tenants["a"]["tenant"]["slug"], "{B}": tenants["b"]["tenant"]["slug"], "{SA}": schema["a"],
              "{SB}": schema["b"], "{RA}": schema["a"] + "_owner", "{RB}": schema["b"] + "_owner",
              "{DB}": tenants["a"]["tenant"]["slug"], "{PA}": owner["a"]["secret"], "{PB}": owner["b"]["secret"]},
    "none": {"{B}": "nosuch", "{SB}": "t_" + "z" * 20, "{RB}": "t_" + "z" * 20 + "_owner"},
    "login": {"A": {"user": "owner", "database": tenants["a"]["tenant"]["slug"], "password": owner["a"]["secret"]},
              "B": {"user": "owner", "database": tenants["b"]["tenant"]["slug"], "password": owner["b"]["secret"]},
              "admin": {"user": admin.username, "database": database, "password": admin.password}},
    "shown": {"{RB}": "owner", "{RA}": "owner"},
    # For the database alone: a password of A's server role for the time of the run.
    "direct": {"role": {"A": f"{schema['a']}_l_owner", "B": f"{schema['b']}_l_owner"}, "password": secrets.token_hex(16)},
    "port": str(login.port), "admin_port": str(admin.port), "database": database,
}, open(f"{work}/names.json", "w"))
