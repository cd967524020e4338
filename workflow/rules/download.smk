rule download:
    input:
        sources=lambda wildcards: PLAN.datasets[wildcards.dataset].instance().sources(),
        plugin=lambda wildcards: PLAN.datasets[wildcards.dataset].code(),
    output:
        f"{RESULTS}/{{dataset}}/raw/manifest.json",
    log:
        f"{RESULTS}/logs/download/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/download/{{dataset}}.jsonl"
    conda:
        "../../environment.yml"
    params:
        settings=lambda wildcards: jobs.text(PLAN.datasets[wildcards.dataset].settings()),
    shell:
        "python -m regimebench download --settings {params.settings:q} --manifest {output} > {log} 2>&1"
