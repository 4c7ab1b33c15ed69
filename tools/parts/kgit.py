# git in a repository, whatever the user's configuration says.
import os
import subprocess

# The lists of ci/tables, and the name in each that counts its entries ("" if none does).
TABLES = os.path.join(os.path.dirname(__file__), "../../ci/tables")
ENVIRONMENT = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")


def git(repository, *arguments):
    command = ["git", "-C", repository, "-c", "core.quotePath=false", *arguments]
    output = subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE).stdout
    return output.decode(errors="surrogateescape")


def tables():
    with open(TABLES, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines}
