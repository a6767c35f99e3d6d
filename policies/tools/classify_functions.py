#!/usr/bin/env python3
"""Writes policies/data/functions.csv from live servers' pg_proc: every name in pg_catalog with its treatment.

usage: classify_functions.py SERVER_LIST… > policies/data/functions.csv
       classify_functions.py --query

A server's list is what `psql -At -F,` answers to the query that --query prints. bench/versions/run.sh --classify makes the
lists of PostgreSQL 14 to 18 and calls this.

harmless: computes. names: its constant arguments are judged as names. replaced: rewritten to schema palisade.
forbidden: everything that nobody has looked at and found to be one of the others.
"""
import re
import sys

QUERY = """SELECT proname, bool_or(provolatile = 'i'), bool_and(prorettype = 'internal'::regtype
  OR 'internal'::regtype = ANY (proargtypes)) FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1"""

# Words of the grammar that are called like functions.
KEYWORDS = {"current_catalog": "replaced", "current_role": "replaced", "user": "replaced", "json_array": "harmless"}
# Their argument of type internal is written by PostgreSQL itself: TABLESAMPLE system (1).
WITHOUT_INTERNAL = {"system", "bernoulli"}
# These say whether a text is a value of a type; of a type whose values are names, that tells whether a name exists.
TELLS = {"jsonb_populate_record_valid", "pg_input_error_info"}

NAMES = set("""set_config current_setting nextval currval setval lastval to_regclass to_regproc to_regprocedure
to_regtype to_regtypemod to_regnamespace to_regrole to_regcollation regclass row_security_active to_tsvector to_tsquery plainto_tsquery phraseto_tsquery
websearch_to_tsquery ts_headline json_to_tsvector jsonb_to_tsvector""".split())
REPLACED = set("""current_schema current_schemas current_database current_catalog
pg_get_viewdef pg_get_ruledef pg_get_indexdef pg_get_constraintdef pg_get_triggerdef pg_get_functiondef
pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_get_function_arg_default
pg_get_function_sqlbody pg_get_expr pg_get_serial_sequence pg_get_partkeydef pg_get_partition_constraintdef
pg_get_statisticsobjdef pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_userbyid
obj_description col_description shobj_description format_type pg_table_size pg_relation_size
pg_total_relation_size pg_indexes_size pg_table_is_visible pg_type_is_visible pg_function_is_visible
pg_operator_is_visible pg_opclass_is_visible pg_opfamily_is_visible pg_collation_is_visible
pg_conversion_is_visible pg_statistics_obj_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible
pg_ts_parser_is_visible pg_ts_template_is_visible pg_describe_object pg_partition_tree pg_partition_ancestors pg_sequence_last_value
pg_relation_is_updatable pg_relation_is_publishable pg_column_is_updatable
current_user session_user current_role user pg_notify pg_listening_channels
pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all pg_advisory_unlock_shared
pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared has_table_privilege has_column_privilege
has_any_column_privilege has_sequence_privilege has_function_privilege has_schema_privilege has_type_privilege
pg_has_role acldefault aclexplode pg_current_snapshot txid_current_snapshot pg_partition_root pg_index_has_property
pg_index_column_has_property oidvectortypes pg_is_other_temp_schema pg_basetype pg_get_sequence_data pg_input_is_valid""".split())
STABLE_HARMLESS = re.compile(r"""^(array_.*|anyarray_.*|anytextcat|textanycat|concat|concat_ws|convert|convert_from
|convert_to|clock_timestamp|now|timeofday|statement_timestamp|transaction_timestamp|date|date_.*|time_.*|timestamp.*
|timetz.*|interval_.*|make_timestamptz|to_(char|date|number|timestamp|json|jsonb)|json_.*|jsonb_.*|row_to_json
|array_to_json|format|gen_random_uuid|uuidv[47]|random|random_normal|setseed|quote_literal|quote_nullable|enum_(first|last|range)|money
|cash_.*|current_user|session_user|pg_backend_pid|pg_client_encoding|getdatabaseencoding|pg_char_to_encoding|pg_encoding_to_char|pg_typeof
|pg_column_size|pg_column_compression|pg_sleep|pg_sleep_for|pg_sleep_until|pg_(try_)?advisory_.*|pg_trigger_depth
|pg_current_xact_id|pg_current_xact_id_if_assigned|txid_current.*
|pg_is_in_recovery|pg_my_temp_schema|pg_is_other_temp_schema|pg_collation_for|pg_options_to_table|pg_get_keywords
|pg_timezone_names|pg_timezone_abbrevs|pg_postmaster_start_time|pg_conf_load_time|pg_jit_available|pg_cursor
|pg_prepared_statement|pg_listening_channels|pg_notification_queue_usage|pg_show_all_settings|pg_settings_get_flags
|pg_index.*_has_property|version|ts_match_t[qt]|xml|xml_is_well_formed.*|inet_(client|server)_(addr|port)
|multirange_.*|range_.*|record_.*|oidvectortypes|acldefault|aclexplode|mxid_age|age|get_current_ts_config
|pg_available_extensions|pg_available_extension_versions|jsonb_path_.*|system|bernoulli
|suppress_redundant_updates_trigger|tsvector_update_trigger|tsvector_update_trigger_column)$""".replace("\n", ""))
RELATION_STATISTICS = re.compile(r"""^pg_stat_get_(xact_)?(numscans|lastscan|tuples_\w+|blocks_\w+|live_tuples|dead_tuples
|mod_since_analyze|ins_since_vacuum|last_(auto)?(analyze|vacuum)_time|(auto)?(analyze|vacuum)_count|total_(auto)?(analyze|vacuum)_time)$""".replace("\n", ""))
FORBIDDEN = re.compile(r"""^(makeaclitem|query_to_xml.*|table_to_xml.*|schema_to_xml.*|database_to_xml.*|cursor_to_xml.*|ts_stat
|ts_debug|ts_parse|ts_lexize|ts_token_type|lo_.*|loread|lowrite|pg_read_.*|pg_ls_.*|pg_stat_.*|pg_replication_.*
|pg_logical_.*|.*_in|.*_recv)$""".replace("\n", ""))

def treatment(name, immutable, internal):
    if name in KEYWORDS:
        return KEYWORDS[name]
    if name in NAMES:
        return "names"
    if name in REPLACED or RELATION_STATISTICS.match(name):
        return "replaced"
    if name in TELLS or FORBIDDEN.match(name) and not STABLE_HARMLESS.match(name):
        return "forbidden"
    if internal and name not in WITHOUT_INTERNAL:
        return "forbidden"
    return "harmless" if immutable or STABLE_HARMLESS.match(name) else "forbidden"


def merged(lists):
    """Name to (immutable somewhere, internal everywhere), over all servers."""
    known = {name: (False, False) for name in KEYWORDS}
    for path in lists:
        for line in open(path):
            name, immutable, internal = line.strip().split(",")
            before = known.get(name, (False, True))
            known[name] = (before[0] or immutable == "t", before[1] and internal == "t")
    return known


def main(arguments):
    if arguments == ["--query"]:
        print(QUERY)
        return
    if not arguments:
        sys.exit(__doc__)
    print("# Every function name in pg_catalog, PostgreSQL 14 to 18, and its treatment; made by policies/tools/classify_functions.py.")
    for name, (immutable, internal) in sorted(merged(arguments).items()):
        print(f"{name},{treatment(name, immutable, internal)}")


main(sys.argv[1:])
