#!/bin/sh
# Creates Temporal's databases and brings their schemas up to date. Each command may be repeated: an existing database is left
# alone, a schema is moved only forward. Where to connect is in SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD. The schemas
# are in the tool itself, so it has to be of the server's version.
set -eu

set_up() {
  database=$1
  schema=$2
  temporal-sql-tool --db "$database" create
  temporal-sql-tool --db "$database" setup-schema -v 0.0
  temporal-sql-tool --db "$database" update-schema --schema-name "$schema"
}

set_up temporal postgresql/v12/temporal
set_up temporal_visibility postgresql/v12/visibility
