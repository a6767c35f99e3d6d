<?php
// PDO with native prepared statements: usage php_pdo.php URL SCRIPT
declare(strict_types=1);

const LONG = 2000; // bytes; longer values are shown by length and digest
const MANY = 200; // more rows than these are shown by number and digest
const JSON = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;

final class Client
{
    private PDO $pdo;
    private array $url;

    public function __construct(string $url)
    {
        $this->url = parse_url($url);
        $this->pdo = $this->connected();
    }

    private function connected(array $given = []): PDO
    {
        $u = $this->url;
        $name = $given['database'] ?? ltrim($u['path'], '/');
        $source = "pgsql:host={$u['host']};port={$u['port']};dbname=$name" . (isset($given['options']) ? ";options='{$given['options']}'" : '');
        return new PDO($source, $u['user'], $given['password'] ?? $u['pass'], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false]);
    }

    public function play(string $script): void
    {
        foreach (file($script, FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) as $line) {
            $step = json_decode($line, true, 64, JSON_THROW_ON_ERROR);
            echo json_encode(['step' => $step['name'], 'outcome' => $this->playStep($step)], JSON), "\n";
        }
    }

    private function playStep(array $step): array
    {
        if (!in_array($step['op'], ['query', 'simple', 'repeat', 'tx', 'cursor', 'copy_in', 'copy_out', 'notify', 'connect'], true)) {
            return ['skipped' => 'not in this client'];
        }
        try {
            return $this->{'step_' . $step['op']}($step);
        } catch (PDOException $e) {
            return ['error' => $this->failure($e)];
        } catch (ValueError $e) { // PDO refuses an empty text itself
            return ['refused' => $e->getMessage()];
        }
    }

    // PDO shows an error's text and SQLSTATE, and no field beside them.
    private function failure(PDOException $e): array
    {
        return ['code' => $e->getCode(), 'info' => $e->errorInfo, 'text' => $e->getMessage()];
    }

    private function shown(mixed $value): mixed
    {
        if (is_resource($value)) {
            $value = 'bytes ' . bin2hex(stream_get_contents($value));
        }
        return is_string($value) && strlen($value) > LONG ? strlen($value) . ' bytes, ' . hash('sha256', $value) : $value;
    }

    private function result(PDOStatement $statement): array
    {
        $columns = [];
        for ($i = 0; $i < $statement->columnCount(); $i++) {
            $meta = $statement->getColumnMeta($i);
            $columns[] = [$meta['name'], $meta['native_type'], $meta['len'], $meta['precision'], $meta['table'] ?? null];
        }
        $rows = $columns ? array_map(fn (array $row): array => array_map($this->shown(...), $row), $statement->fetchAll(PDO::FETCH_NUM)) : [];
        $rows = count($rows) > MANY ? ['rows' => count($rows), 'digest' => hash('sha256', json_encode($rows, JSON))] : $rows;
        return ['count' => $statement->rowCount(), 'columns' => $columns, 'rows' => $rows];
    }

    private function bind(PDOStatement $statement, array $params): void
    {
        foreach ($params as $i => $param) {
            $value = isset($param['repeat']) ? str_repeat($param['repeat'][0], $param['repeat'][1]) : $param['v'];
            [$value, $type] = match (true) {
                $value === null => [null, PDO::PARAM_NULL],
                $param['t'] === 'jsonb' => [json_encode($value, JSON), PDO::PARAM_STR],
                $param['t'] === 'bytea' => [hex2bin($value), PDO::PARAM_LOB],
                is_array($value) => ['{' . implode(',', array_map(fn (mixed $v): string => json_encode($v, JSON), $value)) . '}', PDO::PARAM_STR],
                is_bool($value) => [$value, PDO::PARAM_BOOL],
                is_int($value) => [$value, PDO::PARAM_INT],
                default => [(string) $value, PDO::PARAM_STR],
            };
            $statement->bindValue(':p' . ($i + 1), $value, $type);
        }
    }

    private function prepared(string $sql, bool $named): PDOStatement
    {
        return $this->pdo->prepare($named ? preg_replace('/\$(\d+)/', ':p$1', $sql) : $sql);
    }

    private function step_query(array $step): array
    {
        if (!isset($step['params'])) {
            return $this->result($this->pdo->query($step['sql']));
        }
        $statement = $this->prepared($step['sql'], true);
        $this->bind($statement, $step['params']);
        $statement->execute();
        return $this->result($statement);
    }

    private function step_simple(array $step): array
    {
        return ['count' => $this->pdo->exec($step['sql'])];
    }

    private function step_repeat(array $step): array
    {
        $statement = $this->prepared($step['sql'], true);
        $each = [];
        foreach ($step['params'] as $params) {
            try {
                $this->bind($statement, $params);
                $statement->execute();
                $each[] = $this->result($statement);
            } catch (PDOException $e) {
                $each[] = ['error' => $this->failure($e)];
            }
        }
        return ['each' => $each];
    }

    private function step_tx(array $step, int $depth = 0): array
    {
        $steps = [];
        try {
            $depth ? $this->pdo->exec("SAVEPOINT s$depth") : $this->pdo->beginTransaction();
            foreach ($step['steps'] as $one) {
                $steps[] = [$one['name'] => $one['op'] === 'tx' ? $this->step_tx($one, $depth + 1) : $this->playStep($one)];
            }
            if ($depth) {
                $this->pdo->exec(($step['end'] === 'commit' ? 'RELEASE' : 'ROLLBACK TO') . " s$depth");
            } else {
                $step['end'] === 'commit' ? $this->pdo->commit() : $this->pdo->rollBack();
            }
            return ['steps' => $steps];
        } catch (PDOException $e) {
            if (!$depth && $this->pdo->inTransaction()) {
                $this->pdo->rollBack();
            }
            return ['steps' => $steps, 'error' => $this->failure($e)];
        }
    }

    private function step_cursor(array $step): array
    {
        $this->pdo->beginTransaction();
        $statement = $this->pdo->prepare($step['sql'], [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $statement->execute();
        $rows = [];
        while (count($rows) < $step['batch'] * ($step['batches'] ?? 100) && ($row = $statement->fetch(PDO::FETCH_NUM))) {
            $rows[] = $row;
        }
        $statement->closeCursor();
        $this->pdo->commit();
        return ['rows' => $rows];
    }

    // PDO copies into a table that is named apart from the statement.
    private function step_copy_in(array $step): array
    {
        if (!preg_match('/^COPY (\S+) \(([^)]*)\) FROM STDIN$/', $step['sql'], $found)) {
            return ['skipped' => 'not in this client'];
        }
        return ['done' => $this->pdo->pgsqlCopyFromArray($found[1], explode("\n", rtrim($step['data'], "\n")), "\t", '\\\\N', $found[2])];
    }

    private function step_copy_out(array $step): array
    {
        if (!preg_match('/^COPY (\S+) TO STDOUT/', $step['sql'], $found)) {
            return ['skipped' => 'not in this client'];
        }
        return ['data' => $this->pdo->pgsqlCopyToArray($found[1])];
    }

    private function step_notify(array $step): array
    {
        $channel = '"' . $step['channel'] . '"';
        $this->pdo->exec("LISTEN $channel");
        $other = $this->connected();
        $other->prepare('SELECT pg_notify(?, ?)')->execute([$step['channel'], $step['payload']]);
        $heard = $this->pdo->pgsqlGetNotify(PDO::FETCH_NUM, 5000);
        $this->pdo->exec("UNLISTEN $channel");
        return ['notification' => $heard ? [$heard[0], $heard[2] ?? null] : null];
    }

    private function step_connect(array $step): array
    {
        return $this->result($this->connected($step)->query($step['sql'] ?? 'SELECT 1'));
    }
}

(new Client($argv[1]))->play($argv[2]);
