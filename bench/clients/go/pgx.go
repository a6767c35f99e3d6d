// pgx: usage go_pgx URL SCRIPT
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

const wait = 5 * time.Second // for a notification

var ctx = context.Background()

type runner interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

type client struct {
	url     string
	conn    *pgx.Conn
	run     runner
	notices []any
}

func open(address string, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice(n) }
	return pgx.ConnectConfig(ctx, config)
}

func main() {
	c := &client{url: os.Args[1] + "?sslmode=disable"}
	conn, err := open(c.url, func(n *pgconn.Notice) { c.notices = append(c.notices, fields((*pgconn.PgError)(n))) })
	check(err)
	c.conn, c.run = conn, conn
	play(c, os.Args[2])
	check(conn.Close(ctx))
}

func fields(e *pgconn.PgError) any {
	return outcome{"severity": e.Severity, "code": e.Code, "message": e.Message, "detail": e.Detail, "hint": e.Hint, "position": e.Position,
		"internal_position": e.InternalPosition, "internal_query": e.InternalQuery, "where": e.Where, "schema": e.SchemaName, "table": e.TableName,
		"column": e.ColumnName, "type": e.DataTypeName, "constraint": e.ConstraintName}
}

func (c *client) failure(err error) any {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return fields(e)
	}
	return fmt.Sprintf("%T %v", err, err)
}

func (c *client) takeNotices() []any {
	taken := c.notices
	c.notices = nil
	return taken
}

func (c *client) do(s step) (outcome, error, bool) {
	var found outcome
	var err error
	switch s.Op {
	case "query":
		found, err = c.query(s.SQL, values(s.params()))
	case "simple":
		found, err = c.simple(s.SQL)
	case "repeat":
		found, err = c.repeat(s)
	case "tx":
		found, err = c.tx(nil, s)
	case "copy_in":
		var tag pgconn.CommandTag
		tag, err = c.conn.PgConn().CopyFrom(ctx, strings.NewReader(s.Data), s.SQL)
		found = outcome{"tag": tag.String()}
	case "copy_out":
		var out bytes.Buffer
		var tag pgconn.CommandTag
		tag, err = c.conn.PgConn().CopyTo(ctx, &out, s.SQL)
		found = outcome{"tag": tag.String(), "data": out.String()}
	case "pipeline":
		found = c.batch(s)
	case "notify":
		found, err = c.notify(s)
	case "cancel":
		found, err = c.cancel(s)
	case "connect":
		found, err = c.connect(s)
	default:
		return nil, nil, false
	}
	return found, err, true
}

func values(params []param) []any {
	var found []any
	for _, p := range params {
		found = append(found, native(p))
	}
	return found
}

func (c *client) query(text string, args []any) (outcome, error) {
	rows, err := c.run.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	return result(rows)
}

func result(rows pgx.Rows) (outcome, error) {
	defer rows.Close()
	var columns, read []any
	for _, d := range rows.FieldDescriptions() {
		kind := any(d.DataTypeOID)
		if d.DataTypeOID >= ownOid {
			kind = "own"
		}
		columns = append(columns, []any{string(d.Name), kind, d.DataTypeSize, d.TypeModifier, d.Format})
	}
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return nil, err
		}
		for i := range row {
			row[i] = shown(row[i])
		}
		read = append(read, row)
	}
	return outcome{"columns": columns, "rows": few(read), "tag": rows.CommandTag().String()}, rows.Err()
}

func (c *client) simple(text string) (outcome, error) {
	found, err := c.conn.PgConn().Exec(ctx, text).ReadAll()
	var results []any
	for _, one := range found {
		var rows []any
		for _, raw := range one.Rows {
			var row []any
			for _, value := range raw {
				row = append(row, shown(value))
			}
			rows = append(rows, row)
		}
		results = append(results, outcome{"rows": few(rows), "tag": one.CommandTag.String()})
	}
	if err != nil {
		return outcome{"results": results, "error": c.failure(err)}, nil
	}
	return outcome{"results": results}, nil
}

func (c *client) repeat(s step) (outcome, error) {
	if _, err := c.conn.Prepare(ctx, s.Name, s.SQL); err != nil {
		return nil, err
	}
	var each []any
	for _, set := range s.sets() {
		found, err := c.query(s.Name, values(set))
		if err != nil {
			found = outcome{"error": c.failure(err)}
		}
		each = append(each, found)
	}
	return outcome{"each": each}, c.conn.Deallocate(ctx, s.Name)
}

func (c *client) tx(outer pgx.Tx, s step) (outcome, error) {
	begin := c.conn.Begin
	if outer != nil {
		begin = outer.Begin // a savepoint
	}
	tx, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	var steps []any
	for _, one := range s.Steps {
		var found outcome
		if one.Op == "tx" {
			if found, err = c.tx(tx, one); err != nil {
				found = outcome{"error": c.failure(err)}
			}
		} else {
			found = playStep(c, one)
		}
		steps = append(steps, outcome{one.Name: found})
	}
	if s.End == "commit" {
		err = tx.Commit(ctx)
	} else {
		err = tx.Rollback(ctx)
	}
	found := outcome{"steps": steps}
	if err != nil {
		found["error"] = c.failure(err)
	}
	return found, nil
}

func (c *client) batch(s step) outcome {
	batch := &pgx.Batch{}
	for _, q := range s.Queries {
		batch.Queue(q.SQL, values(q.params())...)
	}
	sent := c.conn.SendBatch(ctx, batch)
	var each []any
	for range s.Queries {
		rows, err := sent.Query()
		var found outcome
		if err == nil {
			found, err = result(rows)
		}
		if err != nil {
			found = outcome{"error": c.failure(err)}
		}
		each = append(each, found)
	}
	found := outcome{"each": each}
	if err := sent.Close(); err != nil {
		found["end"] = c.failure(err)
	}
	return found
}

func (c *client) notify(s step) (outcome, error) {
	channel := pgx.Identifier{s.Channel}.Sanitize()
	if _, err := c.conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return nil, err
	}
	other, err := open(c.url, func(*pgconn.Notice) {})
	if err != nil {
		return nil, err
	}
	defer other.Close(ctx)
	if _, err := other.Exec(ctx, "SELECT pg_notify($1, $2)", s.Channel, s.Payload); err != nil {
		return nil, err
	}
	limited, stop := context.WithTimeout(ctx, wait)
	defer stop()
	heard, err := c.conn.WaitForNotification(limited)
	if err != nil {
		return nil, err
	}
	_, err = c.conn.Exec(ctx, "UNLISTEN "+channel)
	return outcome{"notification": []any{heard.Channel, heard.Payload}}, err
}

func (c *client) cancel(s step) (outcome, error) {
	sent := make(chan error, 1)
	time.AfterFunc(500*time.Millisecond, func() { sent <- c.conn.PgConn().CancelRequest(ctx) })
	started := time.Now()
	_, err := c.query(s.SQL, nil)
	return outcome{"outcome": c.failure(err), "soon": time.Since(started) < 10*time.Second}, <-sent
}

func (c *client) connect(s step) (outcome, error) {
	address, err := url.Parse(c.url)
	if err != nil {
		return nil, err
	}
	if s.Password != "" {
		address.User = url.UserPassword(address.User.Username(), s.Password)
	}
	if s.Database != "" {
		address.Path = "/" + s.Database
	}
	if s.Options != "" {
		asked := address.Query()
		asked.Set("options", s.Options)
		address.RawQuery = asked.Encode()
	}
	other, err := open(address.String(), func(*pgconn.Notice) {})
	if err != nil {
		return nil, err
	}
	defer other.Close(ctx)
	text := s.SQL
	if text == "" {
		text = "SELECT 1"
	}
	rows, err := other.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	return result(rows)
}
