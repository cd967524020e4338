# RegimeBench: download -> preprocess -> fit -> evaluate -> aggregate -> report.
# Every stage is one rule file here, one module in regimebench/ and one page in docs/.
import time

from snakemake.utils import min_version

from regimebench import config as configuration
from regimebench import driver, jobs

min_version("9.19")

# A configuration file given by the user replaces the papers' protocol; Snakemake would merge the two.
if "datasets" not in config:

    configfile: "config/config.yaml"


driver.prepare_environment()
PLAN = configuration.make_plan(config)
RESULTS = PLAN.results.as_posix()
LOCKS = []
STARTED = time.time()


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    variant="[a-z][a-z0-9_]*",
    number=r"\d+",


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/index.html",
        expand(f"{RESULTS}/tables/{{dataset}}.standard.md", dataset=PLAN.datasets),


include: "workflow/rules/download.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/report.smk"


onstart:
    LOCKS.append(driver.lock_results(PLAN.results))
    driver.preflight(PLAN)


onsuccess:
    print(f"\nTables: {RESULTS}/tables/   Report: {RESULTS}/report/index.html")


onerror:
    print("\n".join(["", "What went wrong:", *driver.errors(PLAN.results, STARTED)]))
