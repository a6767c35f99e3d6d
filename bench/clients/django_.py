"""Django's ORM and migrations: usage django_.py URL SCRIPT (the script is not played: an ORM writes its own SQL)"""
import sys
from urllib.parse import urlsplit

import django
from django.conf import settings

import orm
from pyplay import diagnosis

URL = urlsplit(sys.argv[1])
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": URL.hostname, "PORT": URL.port, "NAME": URL.path.lstrip("/"),
                           "USER": URL.username, "PASSWORD": URL.password}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Count, Q  # noqa: E402


class Work:
    def migrate(self):
        call_command("migrate", verbosity=0)
        return sorted(connection.introspection.django_table_names(only_existing=True))

    def migrate_again(self):
        call_command("migrate", verbosity=0)
        call_command("migrate", check_unapplied=True, verbosity=0)
        return "nothing to do"

    def introspection(self):
        with connection.cursor() as cursor:
            tables = sorted(t.name for t in connection.introspection.get_table_list(cursor))
            columns = [list(map(str, c)) for c in connection.introspection.get_table_description(cursor, "auth_user")]
            constraints = connection.introspection.get_constraints(cursor, "auth_user_groups")
            sequences = connection.introspection.get_sequences(cursor, "auth_user")
        return [tables, columns, sorted((k.split("_")[0], str(sorted(v["columns"])), v["unique"], str(v["foreign_key"])) for k, v in constraints.items()), str(sequences)]

    def inspectdb(self):
        import io
        out = io.StringIO()
        call_command("inspectdb", "auth_group", "auth_group_permissions", stdout=out)
        return out.getvalue()

    def create(self):
        users = User.objects.bulk_create(User(username=f"user {i}", email=f"{i}@example.org", is_staff=i % 2 == 0) for i in range(10))
        group = Group.objects.create(name="editors")
        group.user_set.add(*users[:4])
        group.permissions.set(Permission.objects.order_by("codename")[:3])
        return [len(users), group.user_set.count(), group.permissions.count()]

    def read(self):
        found = User.objects.filter(Q(groups__name="editors") | Q(username__endswith="9")).annotate(n=Count("groups")).order_by("username")
        return [[u.username, u.n, u.is_staff] for u in found.prefetch_related("groups")]

    def update_and_get_or_create(self):
        done = User.objects.filter(is_staff=True).update(first_name="Ada")
        _, made = User.objects.get_or_create(username="user 3")
        _, made_too = User.objects.update_or_create(username="user 99", defaults={"email": "x@example.org"})
        return [done, made, made_too]

    def rows_by_iterator(self):
        return sum(1 for _ in Permission.objects.iterator(chunk_size=5)) == Permission.objects.count()

    def locked_in_a_transaction(self):
        with transaction.atomic():
            user = User.objects.select_for_update().get(username="user 1")
            try:
                with transaction.atomic():
                    User.objects.create(username="user 2")
            except django.db.IntegrityError as e:
                failed = _error(e)
            user.last_name = "changed"
            user.save()
        return [failed, User.objects.get(username="user 1").last_name]

    def unique_violation(self):
        User.objects.create(username="user 2")

    def session(self):
        store = SessionStore()
        store["cart"] = [1, 2, "drei"]
        store.save()
        return SessionStore(session_key=store.session_key)["cart"]

    def raw_sql(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT username FROM public.auth_user WHERE username = %s", ["user 5"])
            return cursor.fetchall()

    def delete(self):
        number, each = User.objects.filter(groups__name="editors").delete()
        return [number, sorted(each.items())]

    def flush_sequences(self):
        call_command("flush", interactive=False, verbosity=0)
        return [User.objects.count(), User.objects.create(username="first").pk]


def _error(e):
    diag = getattr(e.__cause__, "diag", None)
    return {"class": type(e).__name__, **diagnosis(diag)} if diag else {"class": type(e).__name__, "text": str(e)}


if __name__ == "__main__":
    orm.play(Work(), _error)
