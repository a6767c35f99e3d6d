// lib/pq below database/sql: usage go_pq URL SCRIPT
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"
)

const wait = 5 * time.Second // for a notification

type runner interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

type client struct {
	url     string
	db      *sql.DB
	conn    *sql.Conn
	run     runner
	notices []any
}

func open(address string, notice func(*pq.Error)) (*sql.DB, error) {
	connector, err := pq.NewConnector(address)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, notice)), nil
}

func main() {
	c := &client{url: os.Args[1] + "?sslmode=disable"}
	db, err := open(c.url, func(n *pq.Error) { c.notices = append(c.notices, fields(n)) })
	check(err)
	c.db = db
	c.conn, err = db.Conn(context.Background())
	check(err)
	c.run = c.conn
	play(c, os.Args[2])
	check(c.conn.Close())
}

func fields(e *pq.Error) any {
	return outcome{"severity": e.Severity, "code": e.Code, "message": e.Message, "detail": e.Detail, "hint": e.Hint, "position": e.Position,
		"internal_position": e.InternalPosition, "internal_query": e.InternalQuery, "where": e.Where, "schema": e.Schema, "table": e.Table,
		"column": e.Column, "type": e.DataTypeName, "constraint": e.Constraint}
}

func (c *client) failure(err error) any {
	var e *pq.Error
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
		found, err = c.query(s.SQL, nil)
	case "repeat":
		found, err = c.repeat(s)
	case "tx":
		found, err = c.tx(s, 0)
	case "copy_in":
		found, err = c.copyIn(s)
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
		value := native(p)
		switch v := value.(type) {
		case []int32, []string:
			value = pq.Array(v)
		}
		found = append(found, value)
	}
	return found
}

func (c *client) query(text string, args []any) (outcome, error) {
	rows, err := c.run.QueryContext(context.Background(), text, args...)
	if err != nil {
		return nil, err
	}
	return results(rows)
}

// results reads every result of a text to its end.
func results(rows *sql.Rows) (outcome, error) {
	defer rows.Close()
	var sets []any
	for {
		types, err := rows.ColumnTypes()
		if err != nil {
			return nil, err
		}
		var columns, read []any
		for _, t := range types {
			columns = append(columns, []any{t.Name(), t.DatabaseTypeName()})
		}
		for rows.Next() {
			row, into := make([]any, len(types)), make([]any, len(types))
			for i := range row {
				into[i] = &row[i]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, err
			}
			for i, t := range types {
				if raw, isBytes := row[i].([]byte); isBytes && t.DatabaseTypeName() != "BYTEA" {
					row[i] = string(raw)
				}
				row[i] = shown(row[i])
			}
			read = append(read, row)
		}
		sets = append(sets, outcome{"columns": columns, "rows": few(read)})
		if !rows.NextResultSet() {
			return outcome{"results": sets}, rows.Err()
		}
	}
}

func (c *client) repeat(s step) (outcome, error) {
	prepared, err := c.run.PrepareContext(context.Background(), s.SQL)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	var each []any
	for _, set := range s.sets() {
		rows, err := prepared.Query(values(set)...)
		var found outcome
		if err == nil {
			found, err = results(rows)
		}
		if err != nil {
			found = outcome{"error": c.failure(err)}
		}
		each = append(each, found)
	}
	return outcome{"each": each}, nil
}

func (c *client) tx(s step, depth int) (outcome, error) {
	var tx *sql.Tx
	var err error
	if depth == 0 {
		if tx, err = c.conn.BeginTx(context.Background(), nil); err != nil {
			return nil, err
		}
		c.run = tx
		defer func() { c.run = c.conn; _ = tx.Rollback() }()
	} else if _, err = c.query(fmt.Sprintf("SAVEPOINT s%d", depth), nil); err != nil {
		return nil, err
	}
	var steps []any
	for _, one := range s.Steps {
		var found outcome
		if one.Op == "tx" {
			if found, err = c.tx(one, depth+1); err != nil {
				found = outcome{"error": c.failure(err)}
			}
		} else {
			found = playStep(c, one)
		}
		steps = append(steps, outcome{one.Name: found})
	}
	switch {
	case depth > 0 && s.End == "commit":
		_, err = c.query(fmt.Sprintf("RELEASE s%d", depth), nil)
	case depth > 0:
		_, err = c.query(fmt.Sprintf("ROLLBACK TO s%d", depth), nil)
	case s.End == "commit":
		err = tx.Commit()
	default:
		err = tx.Rollback()
	}
	found := outcome{"steps": steps}
	if err != nil {
		found["error"] = c.failure(err)
	}
	return found, nil
}

// copyIn sends the data's columns as values, which is lib/pq's way to COPY.
func (c *client) copyIn(s step) (outcome, error) {
	tx, err := c.conn.BeginTx(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	copying, err := tx.Prepare(s.SQL)
	if err != nil {
		return nil, err
	}
	for _, text := range strings.Split(strings.TrimSuffix(s.Data, "\n"), "\n") {
		var row []any
		for _, value := range strings.Split(text, "\t") {
			row = append(row, value)
		}
		if _, err := copying.Exec(row...); err != nil {
			return nil, err
		}
	}
	done, err := copying.Exec()
	if err != nil {
		return nil, err
	}
	if err := copying.Close(); err != nil {
		return nil, err
	}
	count, err := done.RowsAffected()
	if err != nil {
		return nil, err
	}
	return outcome{"count": count}, tx.Commit()
}

func (c *client) notify(s step) (outcome, error) {
	listener := pq.NewListener(c.url, time.Second, time.Minute, nil)
	defer listener.Close()
	if err := listener.Listen(s.Channel); err != nil {
		return nil, err
	}
	if _, err := c.query("SELECT pg_notify($1, $2)", []any{s.Channel, s.Payload}); err != nil {
		return nil, err
	}
	select {
	case n := <-listener.Notify:
		return outcome{"notification": []any{n.Channel, n.Extra}}, listener.Unlisten(s.Channel)
	case <-time.After(wait):
		return outcome{"notification": nil}, nil
	}
}

// cancel ends a statement by its context, on a connection of its own, which lib/pq closes afterwards.
func (c *client) cancel(s step) (outcome, error) {
	ctx, stop := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer stop()
	started := time.Now()
	rows, err := c.db.QueryContext(ctx, s.SQL)
	if err == nil {
		_, err = results(rows)
	}
	return outcome{"outcome": c.failure(err), "soon": time.Since(started) < 10*time.Second}, nil
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
	db, err := open(address.String(), func(*pq.Error) {})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	text := s.SQL
	if text == "" {
		text = "SELECT 1"
	}
	rows, err := db.Query(text)
	if err != nil {
		return nil, err
	}
	return results(rows)
}
