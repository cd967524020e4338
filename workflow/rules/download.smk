rule download:
    input:
        sources=lambda wildcards: jobs.source_files(PLAN.datasets[wildcards.dataset]),
        plugin=lambda wildcards: PLAN.datasets[wildcards.dataset].code(),
        code=jobs.code("download.py"),
    output:
        f"{RESULTS}/{{dataset}}/raw/manifest.json",
    log:
        f"{RESULTS}/logs/download/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/download/{{dataset}}.jsonl"
    retries: 0  # what is worth repeating is repeated where it happens; a wrong key is wrong four times
    conda:
        "../../environment.yml"
    threads: lambda wildcards: jobs.download_threads(PLAN.datasets[wildcards.dataset])
    params:
        settings=lambda wildcards: jobs.text(PLAN.datasets[wildcards.dataset].origin()),
        folders=lambda wildcards: jobs.source_folders(PLAN.datasets[wildcards.dataset]),
    shell:
        "python -m regimebench download --settings {params.settings:q} --manifest {output:q} > {log:q} 2>&1"
