# A cube that came in a bundle is given, and no rule makes it.
rule preprocess:
    input:
        manifest=f"{RESULTS}/{{dataset}}/raw/manifest.json",
        code=jobs.code("preprocess.py"),
    output:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
    log:
        f"{RESULTS}/logs/preprocess/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preprocess/{{dataset}}.jsonl"
    wildcard_constraints:
        dataset=jobs.pattern(set(PLAN.datasets) - set(PLAN.planted()) - set(PLAN.derived()) - PLAN.given),
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(PLAN.datasets[wildcards.dataset].settings()),
        truth=f"{RESULTS}/truth/{{dataset}}.csv",
    shell:
        "python -m regimebench preprocess --settings {params.settings:q} --manifest {input.manifest:q}"
        " --cube {output.cube:q} --truth {params.truth:q} > {log:q} 2>&1"


# Planted data know the truth, which stands apart from the cube.
use rule preprocess as preprocess_planted with:
    output:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
        truth=f"{RESULTS}/truth/{{dataset}}.csv",
    wildcard_constraints:
        dataset=jobs.pattern(set(PLAN.planted()) - PLAN.given),


# Made of another data set's cube: surrogates and days without a season.
rule derive:
    input:
        cube=lambda wildcards: f"{RESULTS}/{PLAN.datasets[wildcards.dataset].of}/cube.nc",
        code=jobs.code("derived.py"),
    output:
        cube=f"{RESULTS}/{{dataset}}/cube.nc",
    log:
        f"{RESULTS}/logs/derive/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/derive/{{dataset}}.jsonl"
    wildcard_constraints:
        dataset=jobs.pattern(set(PLAN.derived()) - PLAN.given),
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(PLAN.datasets[wildcards.dataset].derivation()),
    shell:
        "python -m regimebench derive --settings {params.settings:q} --source {input.cube:q} --cube {output.cube:q}"
        " > {log:q} 2>&1"


# Everything that comes before the fits, for a head node whose compute nodes have no network.
rule data:
    input:
        expand(f"{RESULTS}/{{dataset}}/cube.nc", dataset=PLAN.datasets),
