"""The real datasets, where they lie below the data folder, and what becomes of each."""

import re
from dataclasses import dataclass, field

from cmip6zarr.catalogue import drs, projects


@dataclass(frozen=True)
class Real:
    """Files of one dataset: a pattern in a folder.

    `refused` is the kind of its refusal, `said` the reason, and `policy` what lifts it.
    """

    folder: str
    files: str = "*.nc"
    refused: str | None = None
    said: str = ""
    policy: dict = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id that the folder states, or one made of its name; the pattern is part of it if it is not all files."""
        facets = drs.folder_facets(f"/{self.folder}", projects.known())
        made = ("CMIP6", "other", re.sub(r"\W", "-", self.folder), *["na"] * 6, "latest")
        *words, version = facets.values() if facets else made
        return ".".join((*words, version + re.sub(r"\W", "", self.files.removesuffix("*.nc"))))


AWI = "CMIP6/CMIP/AWI/AWI-ESM-1-1-LR/1pctCO2/r1i1p1f1/Amon/tas/gn/v20200212"
CANESM = "CMIP6/CMIP/CCCma/CanESM5/historical/r1i1p1f1/SIday/siconc/gn/v20190429"
MPI = "CMIP6/CMIP/MPI-M/MPI-ESM1-2-LR/historical/r1i1p1f1/AERmon/o3/gn/v20190710"
HADGEM = "cmip5/output1/MOHC/HadGEM2-ES/rcp85/mon/atmos/Amon/r1i1p1/latest/tas"

SPECIAL = [
    # Two months 244 years apart; the latitudes of the two files differ in the last bits.
    Real(AWI, refused="gap", said="found 2927 steps left out", policy={"gap": "allow"}),
    # What a tool left behind when it was killed is no file of the dataset, and holds no step.
    Real(CANESM, refused="unreadable", said="no file matches"),
    Real(CANESM, "*.tmp", refused="empty", said="'time' has 0 steps"),
    # A field and its zonal mean lie in one folder; each for itself is a dataset.
    Real(MPI, refused="structure", said="variable 'lon_bnds': found none"),
    Real(MPI, "*_185001.nc"),
    Real(MPI, "*_zm.nc"),
    # December 2099 is in two files, with other values.
    Real(HADGEM, refused="overlap", said="its first 1 steps, from 2099-12-16 00:00, are not later than"),
    # 262 GB of fill that nobody wrote.
    Real("other/access-nri/size_info_test_data", "ocean*.nc", refused="inflation", said="found 4332123 times as much"),
    Real("other/access-nri/size_info_test_data", "iceh*.nc"),
    # Three months of each year, as a user selected them.
    Real("other/nctoolkit", refused="gap", said="found 9 steps left out", policy={"gap": "allow"}),
    # Weather packed with a scale of its own in each file.
    Real("other/nctoolkit/hourly/01", refused="encoding", said="ssr:scale_factor is ['float64', 31.84520775792349]"),
]

CONVERTED = """
CMIP6/CMIP/BCC/BCC-ESM1/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/CMIP/CCCma/CanESM5/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/CMIP/INM/INM-CM5-0/historical/r1i1p1f1/Amon/rlds/gr1/v20190610
CMIP6/CMIP/IPSL/IPSL-CM6A-LR/historical/r1i1p1f1/Amon/rlus/gr/v20180803
CMIP6/CMIP/IPSL/IPSL-CM6A-LR/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/CMIP/MPI-M/ICON-ESM-LR/historical/r1i1p1f1/Amon/tas/gn/v20210215
CMIP6/CMIP/MPI-M/MPI-ESM1-2-HR/historical/r1i1p1f1/Omon/msftmz/gn/v20190710
CMIP6/CMIP/MPI-M/MPI-ESM1-2-HR/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/CMIP/MPI-M/MPI-ESM1-2-LR/historical/r1i1p1f1/Omon/tauuo/gn/v20200909
CMIP6/CMIP/NCAR/CESM2/amip/r1i1p1f1/Amon/cl/gn/v20190319
CMIP6/CMIP/NCAR/CESM2/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/CMIP/NCAR/CESM2-FV2/historical/r1i1p1f1/Omon/tos/gn/v20191120
CMIP6/CMIP/NOAA-GFDL/GFDL-ESM4/historical/r1i1p1f1/Amon/o3/gr1/v20190726
CMIP6/CMIP/NOAA-GFDL/GFDL-ESM4/historical/r1i1p1f1/Ofx/areacello/gn/v20190726
CMIP6/CMIP/NOAA-GFDL/GFDL-ESM4/historical/r1i1p1f1/SImon/siconc/gn/latest
CMIP6/DCPP/CMCC/CMCC-CM2-SR5/dcppA-hindcast/s1960-r1i1p1f1/day/tas/gn/v20210806
CMIP6/DCPP/DWD/MPI-ESM1-2-LR/dcppA-hindcast/s1980-r1i1p1f1/day/tasmax/gn/v20220126
CMIP6/DCPP/DWD/MPI-ESM1-2-LR/dcppA-hindcast/s1980-r2i1p1f1/day/tasmax/gn/v20220126
CMIP6/DCPP/EC-Earth-Consortium/EC-Earth3/dcppA-hindcast/s1960-r2i1p1f1/Amon/tas/gr/v20201215
CMIP6/DCPP/MOHC/HadGEM3-GC31-MM/dcppA-hindcast/s2004-r3i1p1f2/Amon/pr/gn/v20200417
CMIP6/ScenarioMIP/CNRM-CERFACS/CNRM-CM6-1/ssp245/r1i1p1f2/Omon/tos/gn/v20190219
CMIP6/ScenarioMIP/EC-Earth-Consortium/EC-Earth3-Veg/ssp245/r5i1p1f1/Ofx/deptho/gn/v20200312
CMIP6/ScenarioMIP/IPSL/IPSL-CM6A-LR/ssp119/r1i1p1f1/fx/mrsofc/gr/v20190410
CMIP6/ScenarioMIP/IPSL/IPSL-CM6A-LR/ssp245/r1i1p1f1/Lmon/landCoverFrac/gr/v20190119
CMIP6/ScenarioMIP/MIROC/MIROC6/ssp119/r1i1p1f1/day/tas/gn/v20191016
cmip5/output1/ICHEC/EC-EARTH/historical/mon/atmos/Amon/r1i1p1/latest/tas
cmip5/output1/MPI-M/MPI-ESM-LR/rcp45/mon/ocean/Omon/r1i1p1/latest/zostoga
esmvaltool/CMIP6/CMIP/AS-RCEC/TaiESM1/historical/r1i1p1f1/day/ta/gn/v20200626
esmvaltool/CMIP6/CMIP/AWI/AWI-CM-1-1-MR/historical/r1i1p1f1/Amon/ta/gn/v20181218
esmvaltool/CMIP6/CMIP/BCC/BCC-CSM2-MR/historical/r1i1p1f1/Amon/ta/gn/v20181126
esmvaltool/CMIP6/CMIP/CAMS/CAMS-CSM1-0/historical/r1i1p1f1/Amon/ta/gn/v20190708
esmvaltool/CMIP6/CMIP/CAS/FGOALS-f3-L/historical/r1i1p1f1/day/ta/gr/v20191019
esmvaltool/CMIP6/CMIP/CCCR-IITM/IITM-ESM/historical/r1i1p1f1/Amon/ta/gn/v20191226
esmvaltool/CMIP6/CMIP/EC-Earth-Consortium/EC-Earth3/historical/r1i1p1f1/day/ta/gr/v20200310
esmvaltool/CMIP6/CMIP/NASA-GISS/GISS-E2-1-G/historical/r1i1p1f1/Amon/ta/gn/v20180827
esmvaltool/CMIP6/CMIP/NCAR/CESM2-FV2/historical/r1i1p1f1/Amon/ta/gn/v20191120
esmvaltool/CMIP6/CMIP/NCC/NorESM2-LM/historical/r1i1p1f1/Amon/ta/gn/v20190815
esmvaltool/CMIP6/CMIP/NIMS-KMA/KACE-1-0-G/historical/r1i1p1f1/Amon/ta/gr/v20191028
esmvaltool/CMIP6/CMIP/NUIST/NESM3/historical/r1i1p1f1/day/ta/gn/v20190812
esmvaltool/CMIP6/CMIP/SNU/SAM0-UNICON/historical/r1i1p1f1/day/ta/gn/v20190323
intake-esm/CMIP6/CMIP/BCC/BCC-CSM2-MR/abrupt-4xCO2/r1i1p1f1/Amon/tasmax/gn/v20181016/tasmax
intake-esm/CMIP6/CMIP/BCC/BCC-ESM1/piControl/r1i1p1f1/Amon/tasmax/gn/v20181214/tasmax
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Lmon/evspsblveg/gr/v20181018/evspsblveg
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Lmon/gpp/gr/v20181018/gpp
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Lmon/landCoverFrac/gr/v20181018/landCoverFrac
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Lmon/mrfso/gr/v20181018/mrfso
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Lmon/residualFrac/gr/v20181018/residualFrac
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r1i1p1f2/Omon/co3/gn/v20181018/co3
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r2i1p1f2/Lmon/evspsblveg/gr/v20181031/evspsblveg
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r2i1p1f2/Lmon/mrfso/gr/v20181031/mrfso
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r2i1p1f2/Omon/co3/gn/v20181031/co3
intake-esm/CMIP6/CMIP/CNRM-CERFACS/CNRM-ESM2-1/1pctCO2/r3i1p1f2/Omon/co3/gn/v20181107/co3
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/abrupt-4xCO2/r2i1p1f1/Omon/prra/gr/v20180914/prra
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/abrupt-4xCO2/r9i1p1f1/Omon/prra/gr/v20180914/prra
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Lmon/evspsblveg/gr/v20180802/evspsblveg
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Lmon/gpp/gr/v20180802/gpp
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Lmon/landCoverFrac/gr/v20180802/landCoverFrac
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Lmon/mrso/gr/v20180802/mrso
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Lmon/residualFrac/gr/v20180802/residualFrac
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Omon/co3/gn/v20180802/co3
intake-esm/CMIP6/CMIP/IPSL/IPSL-CM6A-LR/piControl/r1i1p1f1/Omon/prra/gr/v20181123/prra
intake-esm/CMIP6/CMIP/MIROC/MIROC6/amip/r7i1p1f1/Amon/prsn/gn/v20190311/prsn
other/access-nri/esm_datastore/local_paths/nc_files/cmip6-oi10
other/aos-lesson
other/c3s-ipcc-ar6-atlas/CMIP6/ssp245
other/cesm-le
other/cmor
other/iris/rotated/xyt
other/nctoolkit/ensemble
other/pyfesom2/pi-results
other/xclim/cmip6
ref/CMIP6/CMIP/CSIRO/ACCESS-ESM1-5/historical/r1i1p1f1/Lmon/gpp/gn/v20191115
ref/CMIP6/CMIP/CSIRO/ACCESS-ESM1-5/historical/r1i1p1f1/Omon/tos/gn/v20191115
ref/CMIP6/CMIP/CSIRO/ACCESS-ESM1-5/historical/r1i1p1f1/fx/areacella/gn/v20191115
"""

DATASETS = [*SPECIAL, *map(Real, CONVERTED.split())]
