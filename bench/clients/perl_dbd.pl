# DBD::Pg: usage perl_dbd.pl URL SCRIPT
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async :pg_types);
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use JSON::PP;
use Time::HiRes qw(sleep time);

my $LONG = 2000;    # characters; longer values are shown by length and digest
my $MANY = 200;     # more rows than these are shown by number and digest
my $OWN_OIDS = 16384;    # from here on oids are the installation's own
my @FIELDS = qw(severity severity_nonlocal state message_primary message_detail message_hint statement_position internal_position
  internal_query context schema table column datatype constraint);

my ($url, $script) = @ARGV;
my ($user, $password, $host, $port, $database) = $url =~ m{^postgres(?:ql)?://([^:]+):([^@]+)@([^:/]+):(\d+)/(\w[^?]*)} or die "not a URL";
my $json = JSON::PP->new->canonical->allow_nonref;
my @notices;
my $dbh = connected();
my %STEPS = (query => \&query, simple => \&simple, repeat => \&repeat, tx => \&tx, cursor => \&cursor, copy_in => \&copy_in,
    copy_out => \&copy_out, notify => \&notify, cancel => \&cancel, connect => \&connecting);

binmode STDOUT, ':utf8';
$| = 1;
open my $lines, '<:raw', $script or die "$script: $!";
while (my $line = <$lines>) {
    next unless $line =~ /\S/;
    my $step = $json->utf8(1)->decode($line);
    my $outcome = play_step($step);
    $outcome->{notices} = [splice @notices] if @notices;
    print $json->utf8(0)->encode({step => $step->{name}, outcome => $outcome}), "\n";
}

sub connected {
    my %given = @_;
    my $name = $given{database} // $database;
    my $source = "dbi:Pg:host=$host;port=$port;dbname=$name" . ($given{options} ? ";options=$given{options}" : '');
    my $made = DBI->connect($source, $user, $given{password} // $password,
        {RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_enable_utf8 => 1}) or die $DBI::errstr;
    $made->{pg_placeholder_dollaronly} = 1;
    return $made;
}

sub play_step {
    my $step = shift;
    my $play = $STEPS{$step->{op}} or return {skipped => 'not in this client'};
    local $SIG{__WARN__} = sub { push @notices, $_[0] };
    my $outcome = eval { $play->($step) };
    return $outcome // {error => failure($@)};
}

sub failure {
    my $thrown = shift;
    my %found = map { my $v = $dbh->pg_error_field($_); defined $v ? ($_ => $v) : () } @FIELDS;
    $thrown =~ s/ at \S+ line \d+\.?\s*$//;
    return %found ? \%found : {text => $thrown};
}

sub shown {
    my $value = shift;
    return $value unless defined $value;
    return [map { shown($_) } @$value] if ref $value;
    return "$value" if length $value <= $LONG;
    return length($value) . ' characters, ' . sha256_hex(encode_utf8($value));
}

sub bind_all {
    my ($sth, $params) = @_;
    my $i = 0;
    for my $param (@$params) {
        my $value = $param->{repeat} ? $param->{repeat}[0] x $param->{repeat}[1] : $param->{v};
        my $attributes = {};
        if ($param->{t} eq 'bytea') { $attributes = {pg_type => PG_BYTEA}; $value = pack 'H*', $value if defined $value }
        $value = $json->utf8(0)->encode($value) if $param->{t} eq 'jsonb' && defined $value;
        $value = $value ? 't' : 'f' if $param->{t} eq 'bool' && defined $value;
        $sth->bind_param(++$i, $value, $attributes);
    }
}

sub result {
    my $sth = shift;
    return {count => $sth->rows, columns => []} unless $sth->{NUM_OF_FIELDS};
    my @types = map { $_ < $OWN_OIDS ? $_ : 'own' } @{$sth->{pg_type_oid} // []};
    my @names = @{$sth->{NAME}};
    my @rows = map { [map { shown($_) } @$_] } @{$sth->fetchall_arrayref};
    my $rows = @rows > $MANY ? {rows => scalar @rows, digest => sha256_hex(encode_utf8($json->utf8(0)->encode(\@rows)))} : \@rows;
    return {count => $sth->rows, columns => [\@names, \@types], rows => $rows};
}

sub query {
    my $step = shift;
    my $sth = $dbh->prepare($step->{sql});
    bind_all($sth, $step->{params} // []);
    $sth->execute;
    return result($sth);
}

sub simple {
    my $step = shift;
    return {count => $dbh->do($step->{sql})};
}

sub repeat {
    my $step = shift;
    my $sth = $dbh->prepare($step->{sql}, {pg_server_prepare => 1, pg_switch_prepared => 1});
    my @each;
    for my $params (@{$step->{params}}) {
        push @each, eval { bind_all($sth, $params); $sth->execute; result($sth) } // {error => failure($@)};
    }
    return {each => \@each};
}

sub tx {
    my ($step, $depth) = (@_, 0);
    my @steps;
    my $ended = eval {
        $depth ? $dbh->pg_savepoint("s$depth") : $dbh->begin_work;
        push @steps, {$_->{name} => $_->{op} eq 'tx' ? tx($_, $depth + 1) : play_step($_)} for @{$step->{steps}};
        if (!$depth) { $step->{end} eq 'commit' ? $dbh->commit : $dbh->rollback }
        elsif ($step->{end} eq 'commit') { $dbh->pg_release("s$depth") }
        else { $dbh->pg_rollback_to("s$depth") }
        1;
    };
    my $error = $ended ? undef : failure($@);
    eval { $dbh->rollback } if !$depth && !$dbh->{AutoCommit};
    return {steps => \@steps, $error ? (error => $error) : ()};
}

sub cursor {
    my $step = shift;
    my @batches;
    $dbh->begin_work;
    my $done = eval {
        $dbh->do("DECLARE batches CURSOR FOR $step->{sql}");
        while (1) {
            my $rows = $dbh->selectall_arrayref("FETCH $step->{batch} FROM batches");
            last unless @$rows;
            push @batches, $rows;
            last if @batches == ($step->{batches} // 0);
        }
        $dbh->commit;
    };
    return {batches => \@batches} if $done;
    my $error = failure($@);
    $dbh->rollback;
    return {batches => \@batches, error => $error};
}

sub copy_in {
    my $step = shift;
    $dbh->do($step->{sql});
    $dbh->pg_putcopydata($_) for $step->{data} =~ /([^\n]*\n)/g;
    return {ended => $dbh->pg_putcopyend};
}

sub copy_out {
    my $step = shift;
    $dbh->do($step->{sql});
    my ($data, $part) = ('', '');
    while ($dbh->pg_getcopydata(\$part) >= 0) { $data .= $part }
    return {data => $data};
}

sub notify {
    my $step = shift;
    my $channel = $dbh->quote_identifier($step->{channel});
    $dbh->do("LISTEN $channel");
    my $other = connected();
    $other->do('SELECT pg_notify($1, $2)', undef, $step->{channel}, $step->{payload});
    $other->disconnect;
    my ($heard, $until) = (undef, time + 5);
    until ($heard = $dbh->pg_notifies or time > $until) { sleep 0.05 }
    $dbh->do("UNLISTEN $channel");
    return {notification => $heard ? [@$heard[0, 2]] : undef};
}

sub cancel {
    my $step = shift;
    my $started = time;
    $dbh->do($step->{sql}, {pg_async => PG_ASYNC});
    sleep 0.5;
    my $cancelled = $dbh->pg_cancel;
    return {cancelled => $cancelled, error => failure(''), soon => time - $started < 10 ? 1 : 0};
}

sub connecting {
    my $step = shift;
    my $other = eval { connected(map { $_ => $step->{$_} } grep { $step->{$_} } qw(password database options)) };
    return {refused => $DBI::state, text => "$DBI::errstr"} unless $other;
    return {rows => $other->selectall_arrayref($step->{sql} // 'SELECT 1')};
}
